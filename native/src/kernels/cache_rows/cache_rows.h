// The new cache rows of a step: norm, rope, rounding and their places
// (docs/numerics.md#cache-rows).
#pragma once
#include "device/device.h"
#include "kernels/step/step_table.h"

namespace ds4::kernels {

// Angles of the step's rows for one rope: cosine and sine of position times frequency, computed
// with an accurate range reduction. Made once a step.
struct AnglesParams {
    StepTable step;
    const float *frequencies; // [rotary / 2] f32 (model/rope.h)
    int32_t rotary;
    float *angles; // out [rows, rotary]: the cosines of all pairs, then their sines
};
void make_angles(const AnglesParams &params, device::Stream &stream);

// After the projections of the layer's input: the low-rank query gets its norm, the KV rows their
// norm (f64), rope and rounding.
struct FinishLowParams {
    StepTable step;
    const float *angles; // [rows, rotary]
    float *q_low;        // in and out [rows, q_rank]
    const float *q_norm; // [q_rank]
    int32_t q_rank;
    const float *kv;      // [rows, channels] as projected
    const float *kv_norm; // [channels]
    RowFormat format;
    float epsilon;
    uint8_t *kv_rows;       // out [rows, format.bytes], row r for row r of the step
    RingLayout window = {}; // the rows are staged there too, as by stage_rows; no slots: nowhere
};
void finish_low(const FinishLowParams &params, device::Stream &stream);

// Heads of the queries: each times its own rms (without weight), then rope, in place.
struct FinishHeadsParams {
    StepTable step;
    const float *angles;
    float *q; // [rows, heads, channels]
    int32_t heads, channels, rotary;
    float epsilon;
};
void finish_heads(const FinishHeadsParams &params, device::Stream &stream);

// Copies the step's last rows of each sequence into the staged ring: of `rows`, those of the last
// `ring.slots` positions of the step.
struct StageParams {
    StepTable step;
    RingLayout ring;
    const uint8_t *rows; // [rows of the step, stride_bytes]
    int64_t stride_bytes;
};
void stage_rows(const StageParams &params, device::Stream &stream);

// Makes the first `kept` tokens of each sequence current: copies their staged rows to the ring.
// Launched with the table of the step that staged them.
struct CommitParams {
    StepTable step;
    const int32_t *kept;     // [sequence_count]
    const RingLayout *rings; // device, [ring_count] of all layers
    int32_t ring_count;
};
void commit_rows(const CommitParams &params, device::Stream &stream);

} // namespace ds4::kernels
