// Routed and shared experts (docs/numerics.md#experts).
#pragma once
#include "device/device.h"
#include "kernels/activations/activations.h"
#include "kernels/matmul/packed_matrix.h"

namespace ds4::kernels {

// The routed experts of one layer: each record holds gate, up and down packed one after another.
struct ExpertBank {
    const uint8_t *const *records = nullptr; // device, [experts]: where each lies
    uint32_t gate_type = 0, up_type = 0, down_type = 0;
    int32_t experts = 0, hidden = 0, width = 0;
    int64_t up_offset = 0, down_offset = 0; // in a record
};

// Routes by line, as group_routes leaves them. A line_of below 0 is a slot without an expert.
struct RouteLines {
    int32_t rows, per_token;
    const int32_t *begin, *row_of, *line_of, *active, *active_count;
    const float *weight_of;
};

struct RoutedParams {
    ExpertBank bank;
    RouteLines lines;
    Activations x;       // [rows, hidden]
    float limit;         // clamp; <= 0: none
    float *hidden;       // scratch [lines, width] f32: silu(gate) * up * route weight
    int8_t *quants;      // scratch [lines, width], nullable: then down takes f32
    float *scales;       // scratch [lines, width / 32]
    float *partials;     // scratch [lines, hidden]
    const float *shared; // [rows, hidden] output of the shared expert, where the sums start
    float *out;          // [rows, hidden]; may be `shared`
};
// The arithmetic of "mapped" experts of the CPU: the route's weight multiplies h before down, and
// the sum goes through the route's slots in order. With int8 both x and h are rounded; both are f32
// without. A row has the same bits whatever the rest of the step (projection.cuh, exact.cuh).
// Errors: DS4_ERR_FORMAT for a type without kernels, or unlike types of gate and up;
// DS4_ERR_ARGUMENT for sizes that are no multiples of 32.
void routed_experts(const RoutedParams &params, device::Stream &stream);

// gate <- silu(min(gate, limit)) * clamp(up, -limit, limit), in place, for the shared expert.
struct ActivateParams {
    float *gate;     // [rows, width]
    const float *up; // [rows, width]
    int32_t rows, width;
    float limit; // <= 0: none
};
void activate(const ActivateParams &params, device::Stream &stream);

} // namespace ds4::kernels
