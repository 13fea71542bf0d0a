#include "base/fail.h"
#include "device/kernel.h"
#include "device/launch.h"
#include "ds4.h"
#include "kernels/indexer/indexer.h"
#include "kernels/row_codecs/index_row.cuh"

namespace ds4::kernels {
namespace {

constexpr int kQueryWarps = 4;

// As rotate() of model/rope.h: products in f64, one rounding.
__device__ __forceinline__ void turn_pair(float &a, float &b, const float *angles, int pair,
                                          int pairs) {
    const double c = angles[pair], s = angles[pairs + pair], x = a, y = b;
    a = float(x * c - y * s);
    b = float(x * s + y * c);
}

// A warp takes one head of one row.
template <int PerLane> __global__ void pack_queries_kernel(IndexQueryParams p) {
    const int64_t item = int64_t(blockIdx.x) * kQueryWarps + warp(), row = item / p.heads;
    await_previous();
    let_next_begin();
    if (row >= p.step.rows || p.step.row_sequence[row] < 0) return;
    const float *q = p.q + item * p.channels + lane() * PerLane;
    float x[PerLane];
#pragma unroll
    for (int i = 0; i < PerLane; i += 2) {
        const float2 pair = *reinterpret_cast<const float2 *>(q + i);
        x[i] = pair.x, x[i + 1] = pair.y;
        const int turned = lane() * PerLane + i - (p.channels - p.rotary);
        if (turned >= 0)
            turn_pair(x[i], x[i + 1], p.angles + row * p.rotary, turned / 2, p.rotary / 2);
    }
    hadamard(x);
    encode_index_row(x, p.packed + item * p.format.bytes);
}

// A thread takes one pair.
__global__ void turn_queries_kernel(IndexQueryParams p) {
    const int pairs = p.rotary / 2;
    const int64_t item = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, head = item / pairs,
                  row = head / p.heads;
    await_previous();
    let_next_begin();
    if (row >= p.step.rows || p.step.row_sequence[row] < 0) return;
    const int pair = int(item % pairs);
    float *q = p.q + head * p.channels + (p.channels - p.rotary) + pair * 2;
    turn_pair(q[0], q[1], p.angles + row * p.rotary, pair, pairs);
}

} // namespace

void finish_index_queries(const IndexQueryParams &params, device::Stream &stream) {
    const int64_t heads = int64_t(params.step.rows) * params.heads;
    if (params.rotary < 0 || params.rotary % 2 != 0 || params.rotary > params.channels)
        fail(DS4_ERR_ARGUMENT, "%d rotary channels of %d; expected an even number of them",
             params.rotary, params.channels);
    if (!params.format.is_packed) {
        launch(turn_queries_kernel,
               {.blocks = (heads * (params.rotary / 2) + 127) / 128, .after_trigger = true}, stream,
               params);
        return;
    }
    if (!index_row_fits(params.channels))
        fail(DS4_ERR_ARGUMENT, "index rows of %d channels; kernels take 64, 128 or 256",
             params.channels);
    const auto kernel = params.channels == 64    ? pack_queries_kernel<2>
                        : params.channels == 128 ? pack_queries_kernel<4>
                                                 : pack_queries_kernel<8>;
    launch(kernel,
           {.blocks = (heads + kQueryWarps - 1) / kQueryWarps,
            .threads = kQueryWarps * kWarp,
            .after_trigger = true},
           stream, params);
}

} // namespace ds4::kernels
