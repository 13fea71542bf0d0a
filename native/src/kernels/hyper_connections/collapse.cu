#include "base/fail.h"
#include "ds4.h"
#include "kernels/hyper_connections/hyper_connections.h"
#include "kernels/hyper_connections/mix_products.cuh"
#include "kernels/hyper_connections/stream_weights.cuh"

namespace ds4::kernels {
namespace {

using namespace ds4::device;

constexpr int kCollapseThreads = 512, kCollapseWarps = kCollapseThreads / kWarp;
constexpr int64_t kStagedBytes = 72 << 10; // the most of a row that is kept in shared memory

struct CollapseKernelParams {
    const float *streams, *norm;
    const int32_t *row_indices; // null: all in order
    const float *partial;       // [rows, slices, outputs + 1]
    StreamWeights weights;
    int32_t rows, hidden, slices, outputs;
    int32_t weight_blocks; // ahead of the others; a warp of them makes post and comb of one row
    float norm_epsilon;
    bool is_staged;
    float *collapsed; // may be null
    float *x, *post, *comb;
};

struct CollapseShared {
    float sums[kCollapseWarps];
    float mix[kMaxStreams + 1];
};

__device__ __forceinline__ float sum_of_slices(const CollapseKernelParams &p, int row, int output) {
    const int stride = p.outputs + 1;
    const float *from = p.partial + int64_t(row) * p.slices * stride + output;
    float sum = 0.0f;
#pragma unroll 8
    for (int s = 0; s < p.slices; s++) sum += from[int64_t(s) * stride];
    return sum;
}

__device__ __forceinline__ float inverse_rms(float squares, float width, float epsilon) {
    return 1.0f / sqrtf(squares / width + epsilon);
}

// A warp makes post and comb of a row. mix: shared, [kCollapseWarps][outputs]
__device__ __forceinline__ void weigh_streams(const CollapseKernelParams &p, int row, float *mix) {
    const float width = float(int64_t(p.weights.streams) * p.hidden);
    const float scale = inverse_rms(sum_of_slices(p, row, p.outputs), width, p.norm_epsilon);
    for (int i = lane(); i < p.outputs; i += kWarp) mix[i] = sum_of_slices(p, row, i) * scale;
    __syncwarp();
    const int64_t n = p.weights.streams;
    write_stream_weights(p.weights, mix, p.post + row * n, p.comb + row * n * n);
}

// pre of the row in shared.mix; all threads.
__device__ __forceinline__ void weigh_input(const CollapseKernelParams &p, int row, float *mix) {
    const int n = p.weights.streams, thread = int(threadIdx.x);
    if (thread <= n) mix[thread] = sum_of_slices(p, row, thread < n ? thread : p.outputs);
    __syncthreads();
    const float scale = inverse_rms(mix[n], float(int64_t(n) * p.hidden), p.norm_epsilon);
    if (thread < n)
        mix[thread] =
            sigmoid(fmaf(p.weights.scale[0], mix[thread] * scale, p.weights.base[thread])) +
            p.weights.epsilon;
    await_copies<0>();
    __syncthreads();
}

__device__ __forceinline__ float4 scaled_sum(const float4 &sum, float scale, const float4 &v) {
    return make_float4(fmaf(scale, v.x, sum.x), fmaf(scale, v.y, sum.y), fmaf(scale, v.z, sum.z),
                       fmaf(scale, v.w, sum.w));
}

__device__ __forceinline__ void collapse_row(const CollapseKernelParams &p, int row) {
    CollapseShared &shared = shared_memory<CollapseShared>();
    float4 *x = reinterpret_cast<float4 *>(reinterpret_cast<uint8_t *>(&shared) + 256);
    static_assert(sizeof(CollapseShared) <= 256);
    const int source = p.row_indices == nullptr ? row : p.row_indices[row];
    if (source < 0) return;
    const int quads = p.hidden / 4, n = p.weights.streams;
    const float4 *v = reinterpret_cast<const float4 *>(p.streams) + int64_t(source) * n * quads;
    if (p.is_staged) {
        float4 *staged = x + quads;
        for (int i = int(threadIdx.x); i < n * quads; i += kCollapseThreads)
            copy_async(staged + i, v + i);
        v = staged;
    }
    close_copies();
    weigh_input(p, row, shared.mix);
    float squares = 0.0f;
    for (int d = int(threadIdx.x); d < quads; d += kCollapseThreads) {
        float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        for (int j = 0; j < n; j++) sum = scaled_sum(sum, shared.mix[j], v[int64_t(j) * quads + d]);
        x[d] = sum;
        squares = add_products(squares, sum, sum);
    }
    squares = block_sum(squares, shared.sums);
    const float scale = inverse_rms(squares, float(p.hidden), p.norm_epsilon);
    for (int d = int(threadIdx.x); d < quads; d += kCollapseThreads) {
        const float4 sum = x[d], w = reinterpret_cast<const float4 *>(p.norm)[d];
        const int64_t at = int64_t(row) * quads + d;
        if (p.collapsed != nullptr) reinterpret_cast<float4 *>(p.collapsed)[at] = sum;
        reinterpret_cast<float4 *>(p.x)[at] = make_float4(sum.x * scale * w.x, sum.y * scale * w.y,
                                                          sum.z * scale * w.z, sum.w * scale * w.w);
    }
}

__global__ void __launch_bounds__(kCollapseThreads) collapse_kernel(CollapseKernelParams p) {
    await_previous();
    let_next_begin();
    if (int(blockIdx.x) >= p.weight_blocks)
        return collapse_row(p, int(blockIdx.x) - p.weight_blocks);
    const int row = int(blockIdx.x) * kCollapseWarps + warp();
    if (row < p.rows)
        weigh_streams(p, row, &shared_memory<float>() + warp() * ((p.outputs + 3) / 4 * 4));
}

void check(int streams, int hidden) {
    if (streams < 1 || streams > kMaxStreams || hidden < 4 || hidden % 4 != 0)
        fail(DS4_ERR_ARGUMENT,
             "hyper-connections of %d streams of %d channels; expected 1 to %d streams and a "
             "multiple of 4",
             streams, hidden, kMaxStreams);
}

void collapse_rows(CollapseKernelParams params, Stream &stream) {
    const int64_t row_bytes = int64_t(params.hidden) * 4,
                  staged = row_bytes * params.weights.streams;
    params.slices = mix_slices(params.weights.streams * params.hidden);
    params.is_staged = staged <= kStagedBytes;
    const int64_t of_row = 256 + row_bytes + (params.is_staged ? staged : 0),
                  of_weights = int64_t(params.outputs + 3) / 4 * 16 * kCollapseWarps;
    launch(collapse_kernel,
           {.blocks = params.rows + params.weight_blocks,
            .threads = kCollapseThreads,
            .shared_bytes = params.weight_blocks == 0 ? of_row : std::max(of_row, of_weights),
            .after_trigger = true},
           stream, params);
}

} // namespace

int64_t collapse_scratch(int64_t rows, int32_t stream_count, int32_t hidden) {
    return rows * mix_slices(stream_count * hidden) * ((2 + stream_count) * stream_count + 1);
}

void collapse_streams(const CollapseParams &params, Stream &stream) {
    const int n = params.stream_count;
    check(n, params.hidden);
    if (params.rows == 0) return;
    MixParams mix{};
    mix.streams = params.streams, mix.fn = params.fn, mix.rows = params.rows;
    mix.outputs = (2 + n) * n, mix.width = n * params.hidden, mix.partial = params.scratch;
    mix_products(mix, stream);
    CollapseKernelParams rest{};
    rest.streams = params.streams, rest.norm = params.norm, rest.partial = params.scratch;
    rest.weights = {params.base, params.scale, n, params.sinkhorn_iterations, params.hc_epsilon};
    rest.rows = params.rows, rest.hidden = params.hidden, rest.outputs = mix.outputs;
    rest.weight_blocks = (params.rows + kCollapseWarps - 1) / kCollapseWarps;
    rest.norm_epsilon = params.norm_epsilon;
    rest.x = params.x, rest.post = params.post, rest.comb = params.comb;
    collapse_rows(rest, stream);
}

void collapse_head(const CollapseHeadParams &params, Stream &stream) {
    const int n = params.stream_count;
    check(n, params.hidden);
    if (params.rows == 0) return;
    MixParams mix{};
    mix.streams = params.streams, mix.row_indices = params.row_indices, mix.fn = params.fn;
    mix.rows = params.rows, mix.outputs = n, mix.width = n * params.hidden;
    mix.partial = params.scratch;
    mix_products(mix, stream);
    CollapseKernelParams rest{};
    rest.streams = params.streams, rest.norm = params.norm, rest.partial = params.scratch;
    rest.row_indices = params.row_indices;
    rest.weights = {params.base, params.scale, n, 0, params.hc_epsilon};
    rest.rows = params.rows, rest.hidden = params.hidden, rest.outputs = n;
    rest.norm_epsilon = params.norm_epsilon;
    rest.collapsed = params.collapsed == params.x ? nullptr : params.collapsed;
    rest.x = params.x;
    collapse_rows(rest, stream);
}

} // namespace ds4::kernels
