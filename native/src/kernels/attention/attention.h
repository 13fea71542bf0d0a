// Attention of a step's queries over window rows and compressed entries, with sinks
// (docs/numerics.md#attention). One row is key and value of all heads.
#pragma once
#include "device/device.h"
#include "kernels/step/step_table.h"

namespace ds4::kernels {

struct AttendParams {
    StepTable step;
    const float *q;         // [rows, heads, channels], finished
    const uint8_t *kv_rows; // [rows, format.bytes] of the step's own rows
    const float *angles;    // [rows, rotary]; the output turns back by them
    const float *sinks;     // [heads]
    int32_t heads, channels;
    RowFormat format;
    int32_t sliding_window;       // rows that a query sees, its own included
    RingLayout window;            // rows of positions before the step
    PagedLayout entries;          // row_bytes 0: the layer has none
    int32_t ratio;                // 0, 4 or 128
    const int32_t *chosen;        // [rows, top_k]; null: every query sees all closed entries
    const int32_t *chosen_counts; // [rows]
    int32_t top_k;
    int64_t max_visible; // entries that any row of the step sees; bounds the scratch
    float *scratch;      // attend_scratch_floats()
    int32_t groups;      // of heads, for the output projection
    float *out;          // [groups, rows, heads / groups * channels]
};
int64_t attend_scratch_floats(const AttendParams &params);
// Splits of the rows among blocks have fixed places, so a row's result does not depend on others.
void attend(const AttendParams &params, device::Stream &stream);

} // namespace ds4::kernels
