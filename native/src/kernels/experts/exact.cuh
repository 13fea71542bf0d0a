// Routed experts with f32 activations and exactly decoded weights, for any format: the arithmetic
// of `trained` and `plain`, and of types that are not rounded.
//
// Order of a sum: warp w of eight has tiles w, w + 8 and so on. A lane adds its eight columns of
// each group to a chain of fused multiply-adds. Then come the lanes of a quad in pairs, and the
// warps in order.
#pragma once
#include "device/launch.h"
#include "kernels/experts/projection.cuh"

namespace ds4::kernels::experts {

template <typename Format, bool kGated> struct ExactLines {
    static constexpr int kWarps = 8, kMatrices = kGated ? 2 : 1;
    using Sums = float[kMatrices][kWarps][kLines][formats::kTileRows];

    const Projection &p;
    const Strips<Format> strips;

    // Sums of this warp's tiles of a strip with up to eight lines.
    __device__ void multiply(const uint8_t *from, int first, int count,
                             float (&out)[kLines][formats::kTileRows]) const {
        const int row = device::lane() / 4, quarter = device::lane() % 4;
        float sums[kLines][2] = {};
        for (int tile = device::warp(); tile < int(strips.tiles); tile += kWarps) {
            const typename Format::Raw raw = strips.load(from, tile);
#pragma unroll
            for (int g = 0; g < 4; g++) {
                float weights[2][8];
                Format::values(raw, g, weights);
                const int column = tile * formats::kTileCols + g * 32 + quarter * 8;
                if (column >= p.cols) continue;
                add_lines(weights, column, first, count, sums);
            }
        }
#pragma unroll
        for (int i = 0; i < kLines * 2; i++) {
            float sum = sums[i / 2][i % 2];
            sum += __shfl_xor_sync(device::kAllLanes, sum, 1);
            sum += __shfl_xor_sync(device::kAllLanes, sum, 2);
            if (quarter == 0) out[i / 2][row + 8 * (i % 2)] = sum;
        }
    }
    __device__ __forceinline__ void add_lines(const float (&weights)[2][8], int column, int first,
                                              int count, float (&sums)[kLines][2]) const {
#pragma unroll
        for (int line = 0; line < kLines; line++) {
            if (line >= count) break;
            const auto *x = reinterpret_cast<const float4 *>(
                p.values + input_row<kGated>(p, first + line) * p.cols + column);
            const float4 low = x[0], high = x[1];
            const float values[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
            for (int half = 0; half < 2; half++)
#pragma unroll
                for (int i = 0; i < 8; i++)
                    sums[line][half] = fmaf(weights[half][i], values[i], sums[line][half]);
        }
    }
    __device__ void finish(const Sums &sums, int first, int count) const {
        const int line = int(threadIdx.x) / formats::kTileRows,
                  at = int(threadIdx.x) % formats::kTileRows;
        const int64_t channel = int64_t(blockIdx.x) * formats::kTileRows + at;
        if (line >= count || channel >= p.rows) return;
        float total[kMatrices] = {};
#pragma unroll
        for (int i = 0; i < kMatrices * kWarps; i++)
            total[i / kWarps] += sums[i / kWarps][i % kWarps][line][at];
        float &out = p.out[int64_t(first + line) * p.rows + channel];
        if constexpr (kGated)
            out = activated(total[0], total[1], p.limit, p.lines.weight_of[first + line]);
        else
            out = total[0];
    }
    __device__ void run(Sums &sums) const {
        const int active = p.lines.active_count[0];
        for (int a = int(blockIdx.y); a < active; a += int(gridDim.y)) {
            const int expert = p.lines.active[a], end = p.lines.begin[expert + 1];
            for (int first = p.lines.begin[expert]; first < end; first += kLines) {
                const int count = min(end - first, kLines);
#pragma unroll
                for (int m = 0; m < kMatrices; m++)
                    multiply(p.records[expert] + p.offsets[m] +
                                 int64_t(blockIdx.x) * strips.bytes(),
                             first, count, sums[m][device::warp()]);
                __syncthreads();
                finish(sums, first, count);
                __syncthreads();
            }
        }
    }
};

// Blocks that a multiprocessor has room for, by the registers of a tile.
template <typename Format> constexpr int kExactBlocks = sizeof(typename Format::Raw) > 64 ? 1 : 2;

template <typename Format, bool kGated>
__global__ void __launch_bounds__(256, kExactBlocks<Format>) exact_lines_kernel(Projection p) {
    using Block = ExactLines<Format, kGated>;
    device::await_previous();
    device::let_next_begin();
    const Block block{p, Strips<Format>(p.cols)};
    block.run(device::shared_memory<typename Block::Sums>());
}

template <typename Format, bool kGated>
void launch_exact_lines(const Projection &p, int64_t most_active, device::Stream &stream) {
    using Block = ExactLines<Format, kGated>;
    device::launch(exact_lines_kernel<Format, kGated>,
                   {.blocks = (p.rows + formats::kTileRows - 1) / formats::kTileRows,
                    .blocks_y = int(most_active),
                    .threads = Block::kWarps * 32,
                    .shared_bytes = sizeof(typename Block::Sums),
                    .after_trigger = true},
                   stream, p);
}

} // namespace ds4::kernels::experts
