// Products with many rows of activations. A block multiplies eight strips, one a warp, by a block
// of rows of x. Tiles of x go through shared memory, one ahead; weights go straight to registers,
// in the order in which threads hold them. The sum of a slice is in registers. The sums of earlier
// slices wait in shared memory, so that results have the bits of the form for few rows.
#pragma once
#include "device/launch.h"
#include "kernels/matmul/operands.cuh"

namespace ds4::kernels::matmul_detail {

constexpr int kManyWarps = 8, kManyThreads = 32 * kManyWarps;

// The rows of x of one block.
struct RowsOfBlock {
    int first, count;
};

// Tiles: groups of eight rows of x.
template <typename Format, int Tiles> struct ManyInt8 {
    static constexpr int kRows = 8 * Tiles, kTotals = 4 * Tiles;
    using Sums = float[Tiles][4];                     // as in mma
    static constexpr int kBlocks = Tiles > 8 ? 1 : 2; // a multiprocessor has room for
    static constexpr int kStride = 20; // eights; rows of 160 bytes: a warp reads all banks
    struct Shared {
        alignas(16) uint2 quants[2][kRows][kStride];
        float2 scales[2][kTileGroups][kRows / 2];
        float totals[kManyWarps][kTotals][32];
    };

    static __device__ __forceinline__ void stage(Shared &shared, const BatchEntry &entry,
                                                 const RowsOfBlock &rows, int tile, int side) {
        constexpr int kChunks = kTileCols / 16;
        for (int i = int(threadIdx.x); i < kRows * kChunks; i += kManyThreads) {
            const int row = i / kChunks, column = tile * kTileCols + i % kChunks * 16;
            const bool is_there = row < rows.count && column < entry.cols;
            const int64_t at = is_there ? int64_t(rows.first + row) * entry.cols + column : 0;
            device::copy_async(&shared.quants[side][row][i % kChunks * 2], entry.quants + at,
                               is_there);
        }
        for (int i = int(threadIdx.x); i < kRows * kTileGroups; i += kManyThreads) {
            const int row = i / kTileGroups, group = tile * kTileGroups + i % kTileGroups;
            const bool is_there = row < rows.count && group < entry.cols / 32;
            const int64_t at = is_there ? int64_t(rows.first + row) * (entry.cols / 32) + group : 0;
            device::copy_async_word(&shared.scales[side][i % kTileGroups][row / 2].x + row % 2,
                                    entry.scales + at, is_there);
        }
    }

    static __device__ __forceinline__ void add(Sums &sums, const Shared &shared, int side,
                                               const typename Format::Raw &raw, int row_count) {
        const int row = device::lane() / 4, part = device::lane() % 4;
#pragma unroll
        for (int group = 0; group < kTileGroups; group++) {
            GroupCodes codes;
            Format::codes(raw, group, codes);
#pragma unroll
            for (int n = 0; n < Tiles; n++) {
                if (n * 8 >= row_count) break;
                const uint2 quants = shared.quants[side][n * 8 + row][group * 4 + part];
                const float2 two = shared.scales[side][group][n * 4 + part];
                const float scales[2] = {two.x, two.y};
                add_group<Format>(sums[n], codes, quants, scales);
            }
        }
    }

    static __device__ __forceinline__ void add_totals(float (&totals)[kTotals][32], Sums &sums) {
#pragma unroll
        for (int i = 0; i < kTotals; i++) {
            totals[i][device::lane()] += sums[i / 4][i % 4];
            sums[i / 4][i % 4] = 0.0f;
        }
    }
    // Calls write(row of x in the block, row of the strip, value).
    template <typename Write>
    static __device__ __forceinline__ void write_totals(const float (&totals)[kTotals][32],
                                                        const Write &write) {
        const int row = device::lane() / 4, column = device::lane() % 4 * 2;
        for (int i = 0; i < kTotals; i++)
            write(i / 4 * 8 + column + i % 2, row + i % 4 / 2 * 8, totals[i][device::lane()]);
    }
};

template <typename Format, int Tiles> struct ManyBf16 {
    using Int8 = ManyInt8<Format, Tiles>;
    static constexpr int kRows = 8 * Tiles, kTotals = 4 * Tiles;
    using Sums = float[Tiles][4]; // as in mma
    static constexpr int kBlocks = 2;
    static constexpr int kStride = 20; // of 16 bytes; a quarter of a warp reads all banks
    struct Shared {
        uint4 halves[2][kRows][kStride];
        float totals[kManyWarps][kTotals][32];
    };

    static __device__ __forceinline__ void stage(Shared &shared, const BatchEntry &entry,
                                                 const RowsOfBlock &rows, int tile, int side) {
        constexpr int kChunks = kTileCols / 8;
        for (int i = int(threadIdx.x); i < kRows * kChunks; i += kManyThreads) {
            const int row = i / kChunks, column = tile * kTileCols + i % kChunks * 8;
            const bool is_there = row < rows.count && column < entry.cols;
            const int64_t at = is_there ? int64_t(rows.first + row) * entry.cols + column : 0;
            device::copy_async(&shared.halves[side][row][i % kChunks], entry.halves + at, is_there);
        }
    }

    static __device__ __forceinline__ void add(Sums &sums, const Shared &shared, int side,
                                               const typename Format::Raw &raw, int row_count) {
        const int row = device::lane() / 4, part = device::lane() % 4;
        const HalvesOfTile weight = HalvesOfTile::of<Format>(raw);
#pragma unroll
        for (int n = 0; n < Tiles; n++) {
            if (n * 8 >= row_count) break;
            uint4 x[kTileGroups];
#pragma unroll
            for (int group = 0; group < kTileGroups; group++)
                x[group] = shared.halves[side][n * 8 + row][group * 4 + part];
            weight.add(sums[n], x);
        }
    }

    static __device__ __forceinline__ void add_totals(float (&totals)[kTotals][32], Sums &sums) {
        Int8::add_totals(totals, sums);
    }
    template <typename Write>
    static __device__ __forceinline__ void write_totals(const float (&totals)[kTotals][32],
                                                        const Write &write) {
        Int8::write_totals(totals, write);
    }
};

// Lane t of a quad keeps the totals of rows t, t + 4 and so on.
template <typename Format, int Tiles> struct ManyF32 {
    static constexpr int kRows = 8 * Tiles, kTotals = kRows / 2;
    using Sums = float[kRows][2]; // of weight rows lane / 4 and + 8
    static constexpr int kBlocks = 1;
    struct Shared {
        float4 values[2][kRows][kTileCols / 4];
        float totals[kManyWarps][kTotals][32];
    };

    static __device__ __forceinline__ void stage(Shared &shared, const BatchEntry &entry,
                                                 const RowsOfBlock &rows, int tile, int side) {
        constexpr int kChunks = kTileCols / 4;
        for (int i = int(threadIdx.x); i < kRows * kChunks; i += kManyThreads) {
            const int row = i / kChunks, column = tile * kTileCols + i % kChunks * 4;
            const bool is_there = row < rows.count && column < entry.cols;
            const int64_t at = is_there ? int64_t(rows.first + row) * entry.cols + column : 0;
            device::copy_async(&shared.values[side][row][i % kChunks], entry.values + at, is_there);
        }
    }

    static __device__ __forceinline__ void add(Sums &sums, const Shared &shared, int side,
                                               const typename Format::Raw &raw, int row_count) {
        const int part = device::lane() % 4;
#pragma unroll
        for (int group = 0; group < kTileGroups; group++) {
            float weight[2][8];
            Format::values(raw, group, weight);
#pragma unroll
            for (int row = 0; row < kRows; row++) {
                if (row % 8 == 0 && row >= row_count) break;
                const float4 *x = &shared.values[side][row][group * 8 + part * 2];
                add_values(sums[row], weight, x[0], x[1]);
            }
        }
    }

    static __device__ __forceinline__ void add_totals(float (&totals)[kTotals][32], Sums &sums) {
#pragma unroll
        for (int i = 0; i < 2 * kRows; i++) {
            const float sum = sum_of_row(sums[i / 2][i % 2]);
            if (i / 2 % 4 == device::lane() % 4) totals[i / 8 * 2 + i % 2][device::lane()] += sum;
            sums[i / 2][i % 2] = 0.0f;
        }
    }
    template <typename Write>
    static __device__ __forceinline__ void write_totals(const float (&totals)[kTotals][32],
                                                        const Write &write) {
        const int row = device::lane() / 4, part = device::lane() % 4;
        for (int i = 0; i < kTotals; i++)
            write(i / 2 * 4 + part, row + i % 2 * 8, totals[i][device::lane()]);
    }
};

template <typename Format, typename Form>
__global__ void __launch_bounds__(kManyThreads, Form::kBlocks) many_rows_kernel(Batch batch) {
    auto &shared = device::shared_memory<typename Form::Shared>();
    const BatchEntry &entry = entry_of_block(batch, int(blockIdx.x));
    const int strip = (int(blockIdx.x) - entry.first_block) * kManyWarps + device::warp();
    const bool has_strip = strip < entry.strips;
    RowsOfBlock rows{int(blockIdx.y) * Form::kRows, 0};
    rows.count = min(Form::kRows, batch.rows - rows.first);

    auto &totals = shared.totals[device::warp()];
    for (int i = 0; i < Form::kTotals; i++) totals[i][device::lane()] = 0.0f;
    typename Format::Raw raw;
    if (has_strip) raw = load_tile<Format>(entry, strip, 0);
    device::await_previous();
    device::let_next_begin();
    Form::stage(shared, entry, rows, 0, 0);
    device::close_copies();
    typename Form::Sums sums = {};
    int left_in_slice = entry.slice_tiles;
    for (int tile = 0; tile < entry.tiles; tile++) {
        device::await_copies<0>();
        __syncthreads();
        const bool has_next = tile + 1 < entry.tiles;
        if (has_next) Form::stage(shared, entry, rows, tile + 1, (tile + 1) & 1);
        device::close_copies();
        if (!has_strip) continue;
        const typename Format::Raw now = raw;
        if (has_next) raw = load_tile<Format>(entry, strip, tile + 1);
        Form::add(sums, shared, tile & 1, now, rows.count);
        if (--left_in_slice > 0 && has_next) continue;
        left_in_slice = entry.slice_tiles;
        Form::add_totals(totals, sums);
    }
    if (!has_strip) return;
    Form::write_totals(totals, [&](int row, int i, float value) {
        const int out = strip * formats::kTileRows + i;
        if (row < rows.count && out < entry.out_rows)
            entry.y[int64_t(rows.first + row) * entry.y_stride + out] = value;
    });
}

template <typename Format, typename Form>
void launch_many_rows(const Batch &batch, int64_t blocks, device::Stream &stream) {
    device::launch(many_rows_kernel<Format, Form>,
                   {.blocks = blocks,
                    .blocks_y = (batch.rows + Form::kRows - 1) / Form::kRows,
                    .threads = kManyThreads,
                    .shared_bytes = sizeof(typename Form::Shared),
                    .after_trigger = true},
                   stream, batch);
}

} // namespace ds4::kernels::matmul_detail
