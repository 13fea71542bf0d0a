// The indexer (docs/numerics.md#indexer): scores of a query against the index rows of its sequence,
// and the entries with the largest.
#pragma once
#include "device/device.h"
#include "kernels/step/step_table.h"

namespace ds4::kernels {

// Rope, transform and rounding of the index queries.
struct IndexQueryParams {
    StepTable step;
    const float *angles; // [rows, rotary] of the compressed rope: cosines, then sines
    float *q;            // [rows, heads, channels] f32. In; without packing also out, after rope
    int32_t heads, channels, rotary;
    RowFormat format; // not packed: rope only
    uint8_t *packed;  // out [rows, heads, format.bytes]: as index rows. null if not packed
};
void finish_index_queries(const IndexQueryParams &params, device::Stream &stream);

struct SelectParams {
    StepTable step;
    const float *q;        // [rows, heads, channels] after rope; null if the format is packed
    const uint8_t *packed; // [rows, heads, format.bytes] of finish_index_queries, else null
    const float *weights;  // [rows, heads] as projected; scaled by (channels * heads)^(-1/2) here
    int32_t heads, channels;
    PagedLayout entries;
    RowFormat format;
    int32_t ratio, top_k;
    int64_t max_visible;    // of any row of the step: (position + 1) / ratio
    float *scores;          // [select_scratch()]
    int32_t score_rows;     // rows scored at a time
    int32_t *chosen;        // out [rows, top_k] ascending entries; rows that see at most top_k
    int32_t *chosen_counts; // entries get all of them. out [rows]
};
// Floats of scratch. It begins with the scores of the rows. A row has max_visible of them, rounded
// up to a multiple of 4.
int64_t select_scratch(int32_t score_rows, int64_t max_visible, int32_t top_k);
// The smaller entry wins a tie; NaN counts as minus infinity.
void select_entries(const SelectParams &params, device::Stream &stream);

} // namespace ds4::kernels
