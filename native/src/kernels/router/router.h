// The router (docs/numerics.md#router) and the order of routes by expert.
#pragma once
#include "device/device.h"
#include "kernels/step/step_table.h"

namespace ds4::kernels {

struct RouteParams {
    StepTable step;
    const float *logits;  // [rows, experts]
    const float *bias;    // [experts]; null in layers that route by hash
    const int32_t *table; // [vocab, per_token]; null in the others
    int32_t experts, per_token;
    float routed_scale;
    bool normalise_weights;
    // out [rows, per_token], in the order of the choice as on the CPU. -1, with weight 0, stands in
    // padded rows, and for an id of the table that no expert has.
    int32_t *ids;
    float *weights; // out [rows, per_token]
};
// NaN logits are chosen last. Errors: DS4_ERR_ARGUMENT above 1024 experts or 32 a token.
void route(const RouteParams &params, device::Stream &stream);

// Lines: one for each chosen expert of each row, those of an expert together, ascending by row. An
// id that no expert has makes no line.
struct GroupParams {
    const int32_t *ids;   // [rows, per_token]
    const float *weights; // [rows, per_token]
    int32_t rows, per_token, experts;
    int32_t *begin;        // out [experts + 1] first line of an expert
    int32_t *row_of;       // out [rows * per_token] row of a line
    float *weight_of;      // out [rows * per_token]
    int32_t *line_of;      // out [rows, per_token]; -1 without a line
    int32_t *active;       // out [experts] experts with lines, ascending; the rest unwritten
    int32_t *active_count; // out [1]
};
void group_routes(const GroupParams &params, device::Stream &stream);

} // namespace ds4::kernels
