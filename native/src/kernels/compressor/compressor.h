// Compressed cache rows (docs/numerics.md#compressor): windows that a step closes become entries.
#pragma once
#include <span>

#include "device/device.h"
#include "kernels/step/step_table.h"

namespace ds4::kernels {

// One compressor of one layer, for all sequences of a step. The projections of the step's rows are
// [rows, halves * channels] f32; the position bias is added to the gate here, once, in place.
struct CompressParams {
    StepTable step;
    const float *values;        // [rows, width], width = halves * channels
    float *gate;                // [rows, width]; out: with the bias of each row's position
    const float *position_bias; // [ratio, width]
    const float *norm;          // [channels]
    const float *frequencies;   // [rotary / 2] of the compressed rope; entry w turns by w * ratio
    int32_t ratio, halves, channels, rotary;
    RingLayout values_ring, scores_ring; // rows of positions before the step
    PagedLayout entries;                 // where closed windows go: entry w of the sequence
    RowFormat format;                    // KV rows; index rows are transformed and then rounded
    bool is_index;
    float epsilon;
};
void compress(const CompressParams &params, device::Stream &stream);

// The same for one or two compressors of a layer in one launch. Values and biased gates of the
// step's last positions are staged as well, as by stage_rows. `gate` is not changed.
void compress_and_stage(std::span<const CompressParams> compressors, device::Stream &stream);

} // namespace ds4::kernels
