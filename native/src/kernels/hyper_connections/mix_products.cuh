// The products fn . v of hyper-connections and the sum of squares of v, by slices of channels. The
// slices of a row are added in order by who reads them.
#pragma once
#include <algorithm>

#include "device/kernel.h"
#include "device/launch.h"

namespace ds4::kernels {

constexpr int kMixSlice = 512; // channels
constexpr int kMixOutputs = 4; // of a warp
constexpr int kMixRows = 8;    // in shared memory at a time
constexpr int kMixQuarters = kMixSlice / (4 * device::kWarp);

struct MixParams {
    const float *streams;       // [all rows, width]
    const int32_t *row_indices; // [rows], or null: all in order
    const float *fn;            // [outputs, width]
    int32_t rows, outputs, width, slices;
    int32_t block_rows; // rows of one block, which reads its part of fn once
    float *partial;     // out [rows, slices, outputs + 1], the sum of squares last
};

struct MixTiles {
    float4 rows[2][kMixRows][kMixSlice / 4];
};

// Sums of four values over a warp; lanes 8 i.. 8 i + 7 get that of value i. The tree is warp_sum's,
// whose steps of 16 and 8 bring two values in one exchange.
__device__ __forceinline__ float sum_of_four(const float (&values)[4]) {
    using namespace device;
    const bool high = (lane() & 16) != 0, odd = (lane() & 8) != 0;
    float first = high ? values[2] : values[0], second = high ? values[3] : values[1];
    first += __shfl_xor_sync(kAllLanes, high ? values[0] : values[2], 16);
    second += __shfl_xor_sync(kAllLanes, high ? values[1] : values[3], 16);
    float sum = odd ? second : first;
    sum += __shfl_xor_sync(kAllLanes, odd ? first : second, 8);
    for (int step = 4; step > 0; step >>= 1) sum += __shfl_xor_sync(kAllLanes, sum, step);
    return sum;
}

__device__ __forceinline__ float add_products(float sum, const float4 &a, const float4 &b) {
    return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

// Asks for rows first_row.. of the block's slice.
__device__ __forceinline__ void fetch_mix_rows(const MixParams &p,
                                               float4 (&to)[kMixRows][kMixSlice / 4], int first_row,
                                               int end_row, int first_channel) {
    using namespace device;
    const int rows = min(kMixRows, end_row - first_row), quads = kMixSlice / 4;
    for (int i = int(threadIdx.x); i < rows * quads; i += int(blockDim.x)) {
        const int row = first_row + i / quads, channel = first_channel + i % quads * 4;
        const int source = p.row_indices == nullptr ? row : p.row_indices[row];
        const bool valid = source >= 0 && channel < p.width;
        copy_async(&to[i / quads][i % quads],
                   p.streams + (valid ? int64_t(source) * p.width + channel : 0), valid);
    }
    close_copies();
}

__device__ __forceinline__ void multiply_mix_row(const MixParams &p, const float4 *v,
                                                 const float4 (&fn)[kMixOutputs][kMixQuarters],
                                                 int group, float *out) {
    using namespace device;
    float sums[kMixOutputs] = {};
#pragma unroll
    for (int j = 0; j < kMixQuarters; j++) {
        const float4 x = v[j * kWarp + lane()];
#pragma unroll
        for (int o = 0; o < kMixOutputs; o++) sums[o] = add_products(sums[o], fn[o][j], x);
    }
    const float sum = sum_of_four(sums);
    const int output = group * kMixOutputs + lane() / 8;
    if (lane() % 8 == 0 && output < p.outputs) out[output] = sum;
    if (group > 0) return;
    float squares = 0.0f;
#pragma unroll
    for (int j = 0; j < kMixQuarters; j++)
        squares = add_products(squares, v[j * kWarp + lane()], v[j * kWarp + lane()]);
    squares = warp_sum(squares);
    if (lane() == 0) out[p.outputs] = squares;
}

// Blocks along x: slices, then rows. Along y: groups of outputs.
__global__ void mix_products_kernel(MixParams p) {
    using namespace device;
    MixTiles &shared = shared_memory<MixTiles>();
    const int slice = int(blockIdx.x) % p.slices, first_channel = slice * kMixSlice;
    const int group = int(blockIdx.y * (blockDim.x / kWarp)) + warp();
    float4 fn[kMixOutputs][kMixQuarters];
#pragma unroll
    for (int o = 0; o < kMixOutputs; o++)
#pragma unroll
        for (int j = 0; j < kMixQuarters; j++) {
            const int output = group * kMixOutputs + o,
                      channel = first_channel + (j * kWarp + lane()) * 4;
            fn[o][j] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (output < p.outputs && channel < p.width)
                fn[o][j] =
                    *reinterpret_cast<const float4 *>(p.fn + int64_t(output) * p.width + channel);
        }
    await_previous();
    let_next_begin();
    const int first_row = int(blockIdx.x) / p.slices * p.block_rows,
              end_row = min(p.rows, first_row + p.block_rows);
    fetch_mix_rows(p, shared.rows[0], first_row, end_row, first_channel);
    for (int row = first_row, side = 0; row < end_row; row += kMixRows, side ^= 1) {
        if (row + kMixRows < end_row) {
            fetch_mix_rows(p, shared.rows[side ^ 1], row + kMixRows, end_row, first_channel);
            await_copies<1>();
        } else {
            await_copies<0>();
        }
        __syncthreads();
        const int rows = min(kMixRows, end_row - row);
        for (int r = 0; r < rows; r++)
            multiply_mix_row(p, shared.rows[side][r], fn, group,
                             p.partial + (int64_t(row + r) * p.slices + slice) * (p.outputs + 1));
        __syncthreads();
    }
}

inline int32_t mix_slices(int32_t width) { return (width + kMixSlice - 1) / kMixSlice; }

// Few rows spread the outputs over blocks of one warp. Many let all warps of a block share them.
inline void mix_products(MixParams params, device::Stream &stream) {
    constexpr int kFewRows = 8, kManyRows = 128, kWarps = 6;
    params.slices = mix_slices(params.width);
    const bool is_few = params.rows <= kFewRows;
    params.block_rows = is_few ? kFewRows : kManyRows;
    const int groups = (params.outputs + kMixOutputs - 1) / kMixOutputs,
              warps = is_few ? 1 : std::min(groups, kWarps);
    const int64_t chunks = (params.rows + params.block_rows - 1) / params.block_rows;
    device::launch(mix_products_kernel,
                   {.blocks = chunks * params.slices,
                    .blocks_y = (groups + warps - 1) / warps,
                    .threads = warps * device::kWarp,
                    .shared_bytes = sizeof(MixTiles),
                    .after_trigger = true},
                   stream, params);
}

} // namespace ds4::kernels
