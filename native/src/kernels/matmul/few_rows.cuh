// Products with few rows of activations: weights are read once, and that takes the time. A block
// has eight warps, one for each slice of the columns. It goes through its strips; each warp
// holds the next tiles of its slice in registers, across the ends of strips. Slices meet in shared
// memory.
#pragma once
#include <algorithm>

#include "device/launch.h"
#include "kernels/matmul/operands.cuh"

namespace ds4::kernels::matmul_detail {

// Forms hold what a lane needs of x for one tile, and multiply. Rows: 1, or up to 8 or 32. Results
// of rows past the last are never stored, so lanes of such rows read the last one. Weights past the
// columns are zero, so groups past them read the last group.
template <typename Format, int Rows> struct FewInt8 {
    static constexpr int kEights = (Rows + 7) / 8, kRowsOfLane = Rows == 1 ? 1 : 2;
    struct Source {
        const uint8_t *quants[kEights]; // of row lane / 4 of the eight, at column 8 (lane % 4)
        const float *scales[kEights][kRowsOfLane];
        int32_t groups;

        __device__ __forceinline__ Source(const BatchEntry &entry, int first, int rows, float *) {
            const int row = device::lane() / 4, part = device::lane() % 4;
            groups = entry.cols / 32;
#pragma unroll
            for (int n = 0; n < kEights; n++) {
                quants[n] = reinterpret_cast<const uint8_t *>(entry.quants) +
                            int64_t(first + min(8 * n + row, rows - 1)) * entry.cols + part * 8;
#pragma unroll
                for (int j = 0; j < kRowsOfLane; j++)
                    scales[n][j] = entry.scales +
                                   int64_t(first + min(8 * n + 2 * part + j, rows - 1)) * groups;
            }
        }
    };
    static constexpr int kMostAhead = Rows > 8 ? 1 : 3;
    using Sums = float[kEights][4];
    QuantsOfTile x[kEights];

    __device__ __forceinline__ void load(const Source &from, int tile) {
        const int first = tile * kTileGroups;
        const bool is_whole = from.groups % kTileGroups == 0; // and scales are at multiples of 16
#pragma unroll
        for (int n = 0; n < kEights; n++) {
            if (is_whole)
                load_whole(from, n, first);
            else
                load_part(from, n, first);
        }
    }
    __device__ __forceinline__ void add(Sums &sums, const typename Format::Raw &raw, const Source &,
                                        int, int) const {
#pragma unroll
        for (int i = 0; i < kTileGroups; i++) {
            GroupCodes codes;
            Format::codes(raw, i, codes);
#pragma unroll
            for (int n = 0; n < kEights; n++)
                add_group<Format>(sums[n], codes, x[n].quants[i], x[n].scales[i]);
        }
    }
    // part: shared [Rows][16]
    static __device__ __forceinline__ void store(Sums &sums, float *part) {
        const int row = device::lane() / 4, column = device::lane() % 4 * 2;
#pragma unroll
        for (int i = 0; i < 4 * kEights; i++) {
            const int of_x = i / 4 * 8 + column + i % 2;
            if (of_x < Rows) part[of_x * 16 + row + i % 4 / 2 * 8] = sums[i / 4][i % 4];
            sums[i / 4][i % 4] = 0.0f;
        }
    }

  private:
    __device__ __forceinline__ void load_whole(const Source &from, int n, int first) {
        const uint8_t *quants = from.quants[n] + first * 32;
#pragma unroll
        for (int i = 0; i < kTileGroups; i++)
            x[n].quants[i] = *reinterpret_cast<const uint2 *>(quants + i * 32);
#pragma unroll
        for (int j = 0; j < kRowsOfLane; j++) {
            const float4 four = *reinterpret_cast<const float4 *>(from.scales[n][j] + first);
            x[n].scales[0][j] = four.x, x[n].scales[1][j] = four.y;
            x[n].scales[2][j] = four.z, x[n].scales[3][j] = four.w;
        }
    }
    __device__ __forceinline__ void load_part(const Source &from, int n, int first) {
#pragma unroll
        for (int i = 0; i < kTileGroups; i++) {
            const int group = min(first + i, from.groups - 1);
            x[n].quants[i] = *reinterpret_cast<const uint2 *>(from.quants[n] + group * 32);
#pragma unroll
            for (int j = 0; j < kRowsOfLane; j++) x[n].scales[i][j] = from.scales[n][j][group];
        }
    }
};

// Eight rows are loaded ahead with the weights; of more, each eight is read where it is used.
template <typename Format, int Rows> struct FewBf16 {
    static constexpr int kEights = (Rows + 7) / 8;
    struct Source {
        const uint16_t *halves[kEights]; // of row lane / 4 of the eight, at column 8 (lane % 4)
        int32_t groups;

        __device__ __forceinline__ Source(const BatchEntry &entry, int first, int rows, float *) {
            const int row = device::lane() / 4, part = device::lane() % 4;
            groups = entry.cols / 32;
#pragma unroll
            for (int n = 0; n < kEights; n++)
                halves[n] = entry.halves +
                            int64_t(first + min(8 * n + row, rows - 1)) * entry.cols + part * 8;
        }
    };
    static constexpr int kMostAhead = Rows == 1 ? 2 : 3; // as registers allow
    using Sums = float[kEights][4];
    uint4 x[kTileGroups];

    __device__ __forceinline__ void load(const Source &from, int tile) {
        if constexpr (kEights == 1) read(x, from, 0, tile);
    }
    __device__ __forceinline__ void add(Sums &sums, const typename Format::Raw &raw,
                                        const Source &from, int, int tile) const {
        const HalvesOfTile weight = HalvesOfTile::of<Format>(raw);
        if constexpr (kEights == 1) {
            weight.add(sums[0], x);
        } else {
#pragma unroll
            for (int n = 0; n < kEights; n++) {
                uint4 eight[kTileGroups];
                read(eight, from, n, tile);
                weight.add(sums[n], eight);
            }
        }
    }
    static __device__ __forceinline__ void store(Sums &sums, float *part) {
        FewInt8<Format, Rows>::store(sums, part);
    }

  private:
    static __device__ __forceinline__ void read(uint4 (&x)[kTileGroups], const Source &from, int n,
                                                int tile) {
        const int first = tile * kTileGroups, last = from.groups - 1 - first;
        const uint16_t *halves = from.halves[n] + first * 32;
#pragma unroll
        for (int i = 0; i < kTileGroups; i++)
            x[i] = *reinterpret_cast<const uint4 *>(halves + min(i, last) * 32);
    }
};

// A warp copies its slice of one row of x to shared memory; of several rows each is read where it
// is used.
template <typename Format, int Rows> struct FewF32 {
    struct Source {
        const float *values; // of the first row, at column 8 (lane % 4)
        int32_t groups;

        __device__ __forceinline__ Source(const BatchEntry &entry, int first, int, float *staged)
            : values(entry.values + int64_t(first) * entry.cols + device::lane() % 4 * 8),
              groups(entry.cols / 32) {
            if constexpr (Rows == 1) stage(entry, first, staged);
        }

      private:
        __device__ __forceinline__ void stage(const BatchEntry &entry, int first, float *staged) {
            const int slice = entry.slice_tiles * kTileCols, begin = device::warp() * slice;
            float *mine = staged + begin;
            for (int i = device::lane() * 4; i < slice && begin + i < entry.cols;
                 i += 4 * device::kWarp)
                *reinterpret_cast<float4 *>(mine + i) = *reinterpret_cast<const float4 *>(
                    entry.values + int64_t(first) * entry.cols + begin + i);
            __syncwarp();
            values = staged + device::lane() % 4 * 8;
        }
    };
    static constexpr int kMostAhead = Rows > 8 ? 1 : 3;
    using Sums = float[Rows][2];

    __device__ __forceinline__ void load(const Source &, int) {}
    __device__ __forceinline__ void add(Sums &sums, const typename Format::Raw &raw,
                                        const Source &from, int rows, int tile) const {
#pragma unroll
        for (int i = 0; i < kTileGroups; i++) {
            float weight[2][8];
            Format::values(raw, i, weight);
            const int group = min(tile * kTileGroups + i, from.groups - 1);
            const float *values = from.values + group * 32;
#pragma unroll
            for (int row = 0; row < Rows; row++) {
                if (row >= rows) break;
                const auto *at = reinterpret_cast<const float4 *>(values);
                add_values(sums[row], weight, at[0], at[1]);
                values += from.groups * 32;
            }
        }
    }
    static __device__ __forceinline__ void store(Sums &sums, float *part) {
        const int row = device::lane() / 4;
#pragma unroll
        for (int i = 0; i < 2 * Rows; i++) {
            const float sum = sum_of_row(sums[i / 2][i % 2]);
            sums[i / 2][i % 2] = 0.0f;
            if (device::lane() % 4 == 0) part[i / 2 * 16 + row + i % 2 * 8] = sum;
        }
    }
};

constexpr int kFewThreads = 32 * kSlices;

// Two sides take turns, so that one barrier a strip is enough. A row of x of f32 products follows.
template <int Rows> struct FewShared {
    alignas(16) float parts[2][kSlices][Rows][16];
};

// Results of a strip: slices are added in order.
template <int Rows>
__device__ __forceinline__ void write_strip(const float (&parts)[kSlices][Rows][16],
                                            const BatchEntry &entry, int strip, int first,
                                            int rows) {
    const int i = int(threadIdx.x) % 16, out = strip * formats::kTileRows + i;
    if (out >= entry.out_rows) return;
    for (int row = int(threadIdx.x) / 16; row < rows; row += kFewThreads / 16) {
        float sum = 0.0f;
        for (int slice = 0; slice * entry.slice_tiles < entry.tiles; slice++)
            sum += parts[slice][row][i];
        entry.y[int64_t(first + row) * entry.y_stride + out] = sum;
    }
}

// Tiles of a warp in registers, by the words that a lane holds of one.
template <typename Format, typename Form>
constexpr int kFewAhead = sizeof(typename Format::Raw) <= 96    ? Form::kMostAhead
                          : sizeof(typename Format::Raw) <= 128 ? 2
                                                                : 1;

// Blocks that a multiprocessor has room for; a launch has as many.
template <int Rows> constexpr int kFewBlocks = Rows == 1 ? 2 : 1;

// Goes through the tiles of a warp's slice, strip after strip.
template <typename Format> struct SliceTiles {
    const uint8_t *tile, *side; // side bytes of the tile
    int64_t to_next_strip;      // from the last tile of a slice to the first of the next strip
    int64_t side_to_next_strip;
    int first, count, step = 0;

    __device__ __forceinline__ SliceTiles(const BatchEntry &entry, int strip)
        : first(device::warp() * entry.slice_tiles),
          count(min(entry.slice_tiles, entry.tiles - first)) {
        tile = entry.weight + strip * entry.strip_bytes + int64_t(first) * Format::kTileBytes;
        side = entry.weight + strip * entry.strip_bytes +
               int64_t(entry.tiles) * Format::kTileBytes + first * Format::kSideBytes;
        to_next_strip = entry.strip_bytes - int64_t(count - 1) * Format::kTileBytes;
        side_to_next_strip = entry.strip_bytes - (count - 1) * Format::kSideBytes;
    }
    __device__ __forceinline__ typename Format::Raw load() const {
        return Format::template load<formats::ReadGlobal>(tile, side);
    }
    __device__ __forceinline__ void advance() {
        const bool is_last = ++step == count;
        if (is_last) step = 0;
        tile += is_last ? to_next_strip : Format::kTileBytes;
        if constexpr (Format::kSideBytes > 0)
            side += is_last ? side_to_next_strip : Format::kSideBytes;
    }
};

template <typename Format, template <typename, int> typename Form, int Rows>
__device__ __forceinline__ void few_rows_block(const Batch &batch, const BatchEntry &entry) {
    using Lane = Form<Format, Rows>;
    constexpr int kAhead = kFewAhead<Format, Lane>;
    FewShared<Rows> &shared = device::shared_memory<FewShared<Rows>>();
    const int block = int(blockIdx.x) - entry.first_block;
    const int first_row = int(blockIdx.y) * Rows, rows = min(Rows, batch.rows - first_row);
    const int begin = int(int64_t(entry.strips) * block / entry.blocks),
              end = int(int64_t(entry.strips) * (block + 1) / entry.blocks);
    SliceTiles<Format> tiles(entry, begin);
    const int count = tiles.count, steps = count > 0 ? (end - begin) * count : 0;
    typename Format::Raw raw[kAhead] = {};
    {
        SliceTiles<Format> first = tiles; // weights do not wait for the previous kernel
#pragma unroll
        for (int i = 0; i < kAhead; i++)
            if (i < steps) raw[i] = first.load(), first.advance();
    }
    device::await_previous();
    device::let_next_begin();
    const typename Lane::Source source(entry, first_row, rows,
                                       reinterpret_cast<float *>(&shared + 1));
    Lane x[kAhead];
#pragma unroll
    for (int i = 0; i < kAhead; i++)
        if (i < steps) x[i].load(source, tiles.first + tiles.step), tiles.advance();

    int strip = begin, step = 0; // of the tile that is multiplied
    typename Lane::Sums sums = {};
    const auto end_strip = [&] {
        auto &parts = shared.parts[strip & 1];
        Lane::store(sums, &parts[device::warp()][0][0]);
        __syncthreads();
        write_strip<Rows>(parts, entry, strip, first_row, rows);
        strip++, step = 0;
    };
    for (int done = 0; done < steps; done += kAhead) {
#pragma unroll
        for (int i = 0; i < kAhead; i++) {
            if (done + i >= steps) break;
            x[i].add(sums, raw[i], source, rows, tiles.first + step);
            if (done + i + kAhead < steps) {
                raw[i] = tiles.load();
                x[i].load(source, tiles.first + tiles.step);
                tiles.advance();
            }
            if (++step == count) end_strip();
        }
    }
    while (strip < end) end_strip(); // a warp without tiles
}

template <typename Format, template <typename, int> typename Form, int Rows>
__global__ void __launch_bounds__(kFewThreads, kFewBlocks<Rows>) few_rows_kernel(Batch batch) {
    const BatchEntry entry = entry_of_block(batch, int(blockIdx.x));
    few_rows_block<Format, Form, Rows>(batch, entry);
}

template <int Rows>
void launch_few_rows(void (*kernel)(Batch), Batch &batch, device::Stream &stream) {
    const int row_blocks = (batch.rows + Rows - 1) / Rows;
    const int64_t room = multiprocessors() * int64_t(kFewBlocks<Rows>);
    device::launch(
        kernel,
        {.blocks = share_blocks(batch, std::max<int64_t>(1, room / row_blocks)),
         .blocks_y = row_blocks,
         .threads = kFewThreads,
         .shared_bytes = int64_t(sizeof(FewShared<Rows>)) + (Rows == 1 ? row_bytes_f32(batch) : 0),
         .after_trigger = true},
        stream, batch);
}

template <typename Format, template <typename, int> typename Form, int Rows>
void few_rows(Batch &batch, device::Stream &stream) {
    launch_few_rows<Rows>(few_rows_kernel<Format, Form, Rows>, batch, stream);
}

} // namespace ds4::kernels::matmul_detail
