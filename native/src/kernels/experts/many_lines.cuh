// Routed experts of many rows, int8: a block multiplies up to 64 lines of one expert with 128 rows
// of its matrices. A warp has a strip of 16 rows and all lines, so that it decodes a weight once.
// Lines come to shared memory by copies that the products of the tile before hide.
#pragma once
#include "device/launch.h"
#include "kernels/experts/projection.cuh"

namespace ds4::kernels::experts {

template <typename Format, bool kGated> struct ManyLines {
    static constexpr int kThreads = 256, kBlockLines = 64;
    static constexpr int kStrips = kGated ? 4 : 8; // of each matrix
    static constexpr int kChannels = kStrips * formats::kTileRows;
    static constexpr int kColumnTiles = kBlockLines / kLines;
    // A line of a tile of x. Four lines are a multiple of 128 bytes and 32 apart: no two lanes of a
    // load meet in a bank.
    static constexpr int kLineStride = formats::kTileCols + 32;
    using Raw = typename Format::Raw;

    struct Stage {
        alignas(16) int8_t x[kBlockLines][kLineStride];
        alignas(16) float scales[kBlockLines][formats::kTileGroups];
    };
    struct Shared {
        Stage stages[2];
        float totals[kColumnTiles * 4][kThreads]; // as products leave them
        int32_t row_of[kBlockLines];
        int32_t expert, first, count;
        uint32_t table[Format::SharedTable::kWords + 1];
    };

    const Projection &p;
    const Strips<Format> strips;
    Shared &shared;
    const int groups, row, quarter; // row: lane / 4
    const int matrix, strip;        // of the warp

    __device__ ManyLines(const Projection &params, Shared &memory)
        : p(params), strips(params.cols), shared(memory), groups(params.cols / 32),
          row(device::lane() / 4), quarter(device::lane() % 4),
          matrix(kGated ? device::warp() / kStrips : 0), strip(device::warp() % kStrips) {}

    // The first warp looks for the expert and the lines of block y: experts in order, 64 lines a
    // block. count stays 0 past the last line.
    __device__ void find_lines() const {
        if (device::warp() != 0) return;
        const int wanted = int(blockIdx.y), lane = device::lane();
        if (lane == 0) shared.count = 0;
        __syncwarp();
        int before = 0;
        for (int base = 0; base < p.experts && before <= wanted; base += 32) {
            const int expert = base + lane;
            const int begin = expert < p.experts ? p.lines.begin[expert] : 0,
                      end = expert < p.experts ? p.lines.begin[expert + 1] : 0;
            const int blocks = (end - begin + kBlockLines - 1) / kBlockLines;
            int sum = blocks;
            for (int step = 1; step < 32; step *= 2) {
                const int other = __shfl_up_sync(device::kAllLanes, sum, step);
                if (lane >= step) sum += other;
            }
            const int mine = wanted - before - (sum - blocks);
            if (mine >= 0 && mine < blocks) {
                shared.expert = expert, shared.first = begin + mine * kBlockLines;
                shared.count = min(end - shared.first, kBlockLines);
            }
            before += __shfl_sync(device::kAllLanes, sum, 31);
        }
    }

    // Asks for a tile of x; lines past the count and columns past the matrix become zeros.
    __device__ __forceinline__ void copy_tile(Stage &stage, int64_t tile) const {
        constexpr int kVectors = formats::kTileCols / 16;
        for (int i = int(threadIdx.x); i < kBlockLines * kVectors; i += kThreads) {
            const int line = i / kVectors, column = i % kVectors * 16;
            const int64_t at = tile * formats::kTileCols + column;
            const bool is_there = line < shared.count && at < p.cols;
            const int8_t *from =
                p.quants + (is_there ? shared.row_of[line] * int64_t(p.cols) + at : 0);
            device::copy_async(&stage.x[line][column], from, is_there);
        }
        if (groups % 4 == 0) {
            const int line = int(threadIdx.x);
            if (line >= kBlockLines) return;
            const bool is_there = line < shared.count;
            const float *from =
                p.scales + (is_there ? shared.row_of[line] * int64_t(groups) + tile * 4 : 0);
            device::copy_async(stage.scales[line], from, is_there);
            return;
        }
        const int line = int(threadIdx.x) / 4, g = int(threadIdx.x) % 4;
        const bool is_there = line < shared.count && tile * 4 + g < groups;
        stage.scales[line][g] =
            is_there ? p.scales[shared.row_of[line] * int64_t(groups) + tile * 4 + g] : 0.0f;
    }

    __device__ void multiply() const {
        const uint8_t *from = p.records[shared.expert] + p.offsets[matrix] +
                              (int64_t(blockIdx.x) * kStrips + strip) * strips.bytes();
        const bool has_rows = (int64_t(blockIdx.x) * kStrips + strip) * 16 < p.rows;
        float sums[kColumnTiles][4];
#pragma unroll
        for (int i = 0; i < kColumnTiles * 4; i++) sums[i / 4][i % 4] = 0.0f;
        copy_tile(shared.stages[0], 0);
        device::close_copies();
        Raw next{};
        if (has_rows) next = strips.load(from, 0);
        for (int tile = 0; tile < int(strips.tiles); tile++) {
            device::await_copies<0>();
            __syncthreads();
            if (tile + 1 < int(strips.tiles)) copy_tile(shared.stages[(tile + 1) % 2], tile + 1);
            device::close_copies();
            if (!has_rows) continue;
            const Raw raw = next;
            if (tile + 1 < int(strips.tiles)) next = strips.load(from, tile + 1);
            add_tile(raw, shared.stages[tile % 2], sums);
            if ((tile + 1) % kChunkTiles == 0 || tile + 1 == int(strips.tiles))
                add_chunk(sums, tile < kChunkTiles);
        }
    }
    // Totals of 512 columns join those before.
    __device__ __forceinline__ void add_chunk(float (&sums)[kColumnTiles][4], bool is_first) const {
#pragma unroll
        for (int i = 0; i < kColumnTiles * 4; i++) {
            float &total = shared.totals[i][threadIdx.x];
            total = is_first ? sums[i / 4][i % 4] : total + sums[i / 4][i % 4];
            sums[i / 4][i % 4] = 0.0f;
        }
    }
    __device__ __forceinline__ void add_tile(const Raw &raw, const Stage &stage,
                                             float (&sums)[kColumnTiles][4]) const {
        const typename Format::Scales all = Format::scales(raw);
        const typename Format::SharedTable table(shared.table);
        uint32_t a[4][4], minimums[4][4];
        float scale[4][2], minimum_scale[2] = {};
#pragma unroll
        for (int g = 0; g < 4; g++) {
            Format::words(raw, g, table, a[g]);
            if constexpr (Format::kHasMinimums) Format::minimums(raw, g, minimums[g]);
            scale[g][0] = Format::scale(all, 0, g), scale[g][1] = Format::scale(all, 1, g);
        }
        if constexpr (Format::kHasMinimums)
            minimum_scale[0] = Format::minimum_scale(all, 0),
            minimum_scale[1] = Format::minimum_scale(all, 1);
#pragma unroll
        for (int tile = 0; tile < kColumnTiles; tile++) {
            if (tile * kLines >= shared.count) break;
            const float *xs = stage.scales[tile * kLines + 2 * quarter];
            const float4 first = *reinterpret_cast<const float4 *>(xs),
                         second = *reinterpret_cast<const float4 *>(xs + formats::kTileGroups);
            const float x_scale[2][4] = {{first.x, first.y, first.z, first.w},
                                         {second.x, second.y, second.z, second.w}};
            float part[4] = {};
#pragma unroll
            for (int g = 0; g < 4; g++) {
                const uint2 x = *reinterpret_cast<const uint2 *>(
                    &stage.x[tile * kLines + row][g * 32 + quarter * 8]);
                const uint32_t b[2] = {x.x, x.y};
                int32_t sum[4] = {kFloatBias, kFloatBias, kFloatBias, kFloatBias},
                        minimum[4] = {kFloatBias, kFloatBias, kFloatBias, kFloatBias};
                device::mma_s8(sum, a[g], b);
                if constexpr (Format::kHasMinimums) device::mma_s8(minimum, minimums[g], b);
#pragma unroll
                for (int k = 0; k < 4; k++)
                    part[k] = add_group<Format>(part[k], sum[k], scale[g][k / 2], minimum[k],
                                                minimum_scale[k / 2], x_scale[k % 2][g]);
            }
#pragma unroll
            for (int k = 0; k < 4; k++) sums[tile][k] += part[k];
        }
    }

    // The total of a channel of the block, where products left it.
    __device__ __forceinline__ float total(int of_matrix, int channel, int line) const {
        const int at = channel % formats::kTileRows,
                  value = line / kLines * 4 + at / 8 * 2 + line % 2,
                  warp = of_matrix * kStrips + channel / formats::kTileRows;
        return shared.totals[value][warp * 32 + at % 8 * 4 + line % kLines / 2];
    }
    // A warp takes 32 channels of a line at a time.
    __device__ void finish() const {
        constexpr int kParts = kChannels / 32;
        for (int i = device::warp(); i < shared.count * kParts; i += kThreads / 32) {
            const int line = i / kParts, part = i % kParts * 32, channel = part + device::lane();
            const int64_t at = int64_t(blockIdx.x) * kChannels + part;
            if (at >= p.rows) continue;
            if constexpr (kGated)
                store_hidden(p, shared.first + line, at, total(0, channel, line),
                             total(1, channel, line));
            else
                p.out[int64_t(shared.first + line) * p.rows + at + device::lane()] =
                    total(0, channel, line);
        }
    }

    __device__ void run() const {
        find_lines();
        __syncthreads();
        if (shared.count == 0) return;
        if (int(threadIdx.x) < shared.count)
            shared.row_of[threadIdx.x] =
                int32_t(input_row<kGated>(p, shared.first + int(threadIdx.x)));
        __syncthreads();
        multiply();
        __syncthreads();
        finish();
    }
};

template <typename Format, bool kGated>
__global__ void __launch_bounds__(256, 2) many_lines_kernel(Projection p) {
    using Block = ManyLines<Format, kGated>;
    auto &shared = device::shared_memory<typename Block::Shared>();
    Format::SharedTable::fill(shared.table);
    device::await_previous();
    device::let_next_begin();
    const Block block(p, shared);
    block.run();
}

// most_lines, most_active: of the step, whatever its routes.
template <typename Format, bool kGated>
void launch_many_lines(const Projection &p, int64_t most_lines, int64_t most_active,
                       device::Stream &stream) {
    using Block = ManyLines<Format, kGated>;
    device::launch(many_lines_kernel<Format, kGated>,
                   {.blocks = (p.rows + Block::kChannels - 1) / Block::kChannels,
                    .blocks_y = int(most_lines / Block::kBlockLines + most_active),
                    .threads = Block::kThreads,
                    .shared_bytes = sizeof(typename Block::Shared),
                    .after_trigger = true},
                   stream, p);
}

} // namespace ds4::kernels::experts
