// Rounds rows of activations to int8 per 32 channels and to bf16. Eight threads have a group of 32
// channels, four each.
#include "base/fail.h"
#include "device/kernel.h"
#include "device/launch.h"
#include "ds4.h"
#include "kernels/activations/activations.h"
#include "kernels/activations/quantise.cuh"

namespace ds4::kernels {
namespace {

using namespace ds4::device;

constexpr int kThreads = 256, kPerThread = 4;

__device__ void quantise_group(const QuantiseParams &p, int64_t first, const float (&v)[4]) {
    uint32_t largest = 0;
    for (const float value : v) largest = max(largest, __float_as_uint(value) & 0x7fffffffu);
    for (int step = 1; step < 8; step *= 2)
        largest = max(largest, __shfl_xor_sync(kAllLanes, largest, step));
    const GroupRounding rounding = rounding_of(largest);
    const float scale = rounding.scale;
    uint32_t codes = 0;
    if (rounding.inverse != 0.0f)
        for (int i = 0; i < 4; i++)
            codes |= uint32_t(__float2int_rn(__fmul_rn(v[i], rounding.inverse)) & 0xff) << (8 * i);
    if (first >= int64_t(p.rows) * p.cols) return;
    *reinterpret_cast<uint32_t *>(p.quants + first) = codes;
    if (lane() % 8 == 0) p.scales[first / 32] = scale;
}

__device__ float without_tiny(float value) { return fabsf(value) < 0x1p-100f ? 0.0f : value; }

__global__ void quantise_kernel(QuantiseParams p) {
    const int64_t first = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * kPerThread;
    const bool is_inside = first < int64_t(p.rows) * p.cols;
    await_previous();
    let_next_begin();
    float v[4] = {};
    if (is_inside) {
        const float4 four = *reinterpret_cast<const float4 *>(p.values + first);
        v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
    }
    if (p.quants != nullptr) quantise_group(p, first, v);
    if (p.halves == nullptr || !is_inside) return;
    for (float &value : v) value = without_tiny(value);
    *reinterpret_cast<uint2 *>(p.halves + first) =
        make_uint2(floats_to_bf16x2(v[0], v[1]), floats_to_bf16x2(v[2], v[3]));
}

} // namespace

void quantise(const QuantiseParams &params, device::Stream &stream) {
    if (params.rows < 0 || params.cols < 0 || params.cols % 32 != 0)
        fail(DS4_ERR_ARGUMENT, "activations of %d rows and %d columns: columns come in 32s",
             params.rows, params.cols);
    if ((params.quants == nullptr) != (params.scales == nullptr))
        fail(DS4_ERR_ARGUMENT, "int8 activations need both codes and scales");
    if (params.quants == nullptr && params.halves == nullptr) return;
    const int64_t count = int64_t(params.rows) * params.cols;
    constexpr int64_t kPerBlock = kThreads * kPerThread;
    launch(
        quantise_kernel,
        {.blocks = (count + kPerBlock - 1) / kPerBlock, .threads = kThreads, .after_trigger = true},
        stream, params);
}

} // namespace ds4::kernels
