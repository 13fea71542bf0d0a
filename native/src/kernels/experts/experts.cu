#include "kernels/experts/experts.h"

#include <algorithm>

#include "base/fail.h"
#include "device/kernel.h"
#include "device/launch.h"
#include "ds4.h"
#include "kernels/experts/project.h"

namespace ds4::kernels {
namespace {

using namespace ds4::device;

constexpr int kThreads = 256;

struct AddParams {
    int32_t rows, cols, per_token;
    const int32_t *line_of;
    const float *partials, *shared;
    float *out;
};

__device__ __forceinline__ float4 add(const float4 &a, const float4 &b) {
    return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w};
}

// Four channels a thread. A slot without a line adds nothing.
__global__ void add_lines_kernel(AddParams p) {
    const int64_t row = blockIdx.y, column = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * 4;
    await_previous();
    let_next_begin();
    if (column >= p.cols) return;
    float4 sum = *reinterpret_cast<const float4 *>(p.shared + row * p.cols + column);
    for (int slot = 0; slot < p.per_token; slot++) {
        const int64_t line = p.line_of[row * p.per_token + slot];
        if (line >= 0)
            sum = add(sum, *reinterpret_cast<const float4 *>(p.partials + line * p.cols + column));
    }
    *reinterpret_cast<float4 *>(p.out + row * p.cols + column) = sum;
}

__global__ void activate_kernel(ActivateParams p) {
    const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
    await_previous();
    let_next_begin();
    if (i < int64_t(p.rows) * p.width)
        p.gate[i] = experts::activated(p.gate[i], p.up[i], p.limit, 1.0f);
}

experts::Projector projector_of(uint32_t type) {
    switch (type) {
    case DS4_TYPE_IQ2_XXS: return experts::iq2_xxs_projector();
    case DS4_TYPE_Q2_K: return experts::q2_k_projector();
    case DS4_TYPE_Q4_K: return experts::q4_k_projector();
    case DS4_TYPE_MXFP4:
    case DS4_TYPE_FP4_PACKED: return experts::mxfp4_projector();
    case DS4_TYPE_Q8_0: return experts::q8_0_projector();
    case DS4_TYPE_F8_E4M3: return experts::f8_e4m3_projector();
    case DS4_TYPE_F32: return experts::f32_projector();
    case DS4_TYPE_F16: return experts::f16_projector();
    case DS4_TYPE_BF16: return experts::bf16_projector();
    default: fail(DS4_ERR_FORMAT, "routed experts of tensor type %u have no GPU kernel", type);
    }
}

void check(const RoutedParams &p) {
    const ExpertBank &bank = p.bank;
    if (bank.gate_type != bank.up_type)
        fail(DS4_ERR_FORMAT,
             "routed experts have a gate of tensor type %u and an up projection of type %u; the "
             "GPU takes one type for both",
             bank.gate_type, bank.up_type);
    if (bank.hidden <= 0 || bank.hidden % 32 != 0 || bank.width <= 0 || bank.width % 32 != 0)
        fail(DS4_ERR_ARGUMENT, "experts of %d to %d channels: both must be multiples of 32",
             bank.hidden, bank.width);
    if (p.x.rows != p.lines.rows || p.x.cols != bank.hidden || p.lines.per_token < 1)
        fail(DS4_ERR_ARGUMENT,
             "activations are [%d, %d], routes have %d rows, experts take %d channels", p.x.rows,
             p.x.cols, p.lines.rows, bank.hidden);
    if ((p.quants == nullptr) != (p.scales == nullptr) ||
        (p.quants == nullptr) != (p.x.quants == nullptr))
        fail(DS4_ERR_ARGUMENT, "x and h are both rounded to int8, with scales, or both are f32");
}

} // namespace

void routed_experts(const RoutedParams &params, device::Stream &stream) {
    check(params);
    const ExpertBank &bank = params.bank;
    const RouteLines &lines = params.lines;
    if (lines.rows <= 0) return;
    const int64_t most_lines = int64_t(lines.rows) * lines.per_token;
    const experts::StepBounds bounds{lines.rows, most_lines,
                                     std::min<int64_t>(most_lines, bank.experts)};
    projector_of(bank.gate_type)
        .up({.records = bank.records,
             .offsets = {0, bank.up_offset},
             .experts = bank.experts,
             .rows = bank.width,
             .cols = bank.hidden,
             .lines = lines,
             .values = params.x.values,
             .quants = params.x.quants,
             .scales = params.x.scales,
             .out = params.hidden,
             .out_quants = params.quants,
             .out_scales = params.scales,
             .limit = params.limit},
            bounds, stream);
    projector_of(bank.down_type)
        .down({.records = bank.records,
               .offsets = {bank.down_offset, 0},
               .experts = bank.experts,
               .rows = bank.hidden,
               .cols = bank.width,
               .lines = lines,
               .values = params.hidden,
               .quants = params.quants,
               .scales = params.scales,
               .out = params.partials,
               .out_quants = nullptr,
               .out_scales = nullptr,
               .limit = 0.0f},
              bounds, stream);
    launch(add_lines_kernel,
           {.blocks = lines.rows == 0 ? 0 : (bank.hidden + kThreads * 4 - 1) / (kThreads * 4),
            .blocks_y = lines.rows,
            .threads = kThreads,
            .after_trigger = true},
           stream,
           AddParams{lines.rows, bank.hidden, lines.per_token, lines.line_of, params.partials,
                     params.shared, params.out});
}

void activate(const ActivateParams &params, device::Stream &stream) {
    if (params.rows < 0 || params.width < 0)
        fail(DS4_ERR_ARGUMENT, "the shared expert has %d rows of %d channels", params.rows,
             params.width);
    launch(activate_kernel,
           {.blocks = (int64_t(params.rows) * params.width + kThreads - 1) / kThreads,
            .threads = kThreads,
            .after_trigger = true},
           stream, params);
}

} // namespace ds4::kernels
