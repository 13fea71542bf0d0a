// Routed experts of few rows, int8. A block of 16 warps goes through its share of the active
// experts and takes up to eight lines at a time. Warps share out the columns in chunks of 512, so
// that a strip is asked for at once: memory is the limit.
//
// A single line has the eight columns of a product to itself. Column c takes one group of columns
// and zeros elsewhere, so that the sums of eight groups stay apart. Lane t of a quad ends with the
// four groups of tile t of the chunk.
#pragma once
#include <algorithm>

#include "device/launch.h"
#include "kernels/experts/projection.cuh"

namespace ds4::kernels::experts {

// kSingle: for a step of one row, whose lines are taken one by one.
template <typename Format, bool kGated, bool kSingle> struct FewLines {
    static constexpr int kThreads = 512, kMatrices = kGated ? 2 : 1;
    static constexpr int kSlices = kGated ? 8 : 4, kStrips = 16 / kSlices;
    static constexpr int kChannels = kStrips * formats::kTileRows; // of a block
    static constexpr int kTaken = kSingle ? 1 : kLines;            // lines of a unit
    static constexpr int kSumRows = kMatrices * kChannels;
    // Tiles whose loads are under way, as far as registers go; tiles of a chunk are a multiple.
    static constexpr int kTiles = kMatrices * kChunkTiles;
    static constexpr int kRawBytes = sizeof(typename Format::Raw);
    static constexpr int kAhead = kRawBytes <= 24   ? (kSingle ? kTiles : 2)
                                  : kRawBytes <= 40 ? (kSingle ? 4 : 1)
                                                    : (kSingle ? 2 : 1);
    using Raw = typename Format::Raw;

    // Sums of chunks [chunk][line][row], or of tiles [chunk][tile of 4, then unused][row].
    static __host__ __device__ int64_t sums_of(int32_t cols) {
        return chunks_of(cols) * kLines * kSumRows;
    }
    static int64_t shared_bytes(int32_t cols) {
        return (Format::SharedTable::kWords + 2 * sums_of(cols)) * 4;
    }

    const Projection &p;
    const Strips<Format> strips;
    const typename Format::SharedTable table;
    const int slice, strip, chunks, groups, row, quarter; // row: lane / 4

    __device__ FewLines(const Projection &params, const uint32_t *words)
        : p(params), strips(params.cols), table(words), slice(device::warp() % kSlices),
          strip(device::warp() / kSlices), chunks(int(chunks_of(params.cols))),
          groups(params.cols / 32), row(device::lane() / 4), quarter(device::lane() % 4) {}

    // Some lines of an expert, which the block takes together.
    struct Unit {
        int at, expert, first, end; // at: of the active experts; end: of the expert's lines
        bool is_there;
        __device__ __forceinline__ int count() const { return min(end - first, kTaken); }
    };
    __device__ __forceinline__ Unit unit_of(int at, int active) const {
        if (at >= active) return {at, 0, 0, 0, false};
        const int expert = p.lines.active[at];
        return {at, expert, p.lines.begin[expert], p.lines.begin[expert + 1], true};
    }
    __device__ __forceinline__ Unit after(const Unit &unit, int active) const {
        if (!unit.is_there) return unit;
        if (unit.first + kTaken >= unit.end) return unit_of(unit.at + int(gridDim.y), active);
        return {unit.at, unit.expert, unit.first + kTaken, unit.end, true};
    }

    // The tiles of a chunk of this warp's strip.
    struct Chunk {
        const uint8_t *tiles[kMatrices], *sides[kMatrices];
        int there = 0; // of kChunkTiles
    };
    // Strips past the matrix have no tiles.
    __device__ __forceinline__ Chunk chunk_of(const Unit &unit, int chunk) const {
        const int64_t at = int64_t(blockIdx.x) * kStrips + strip;
        const int first = chunk * kChunkTiles;
        Chunk out;
        if (!unit.is_there || chunk >= chunks || at * formats::kTileRows >= p.rows) return out;
        const uint8_t *record = p.records[unit.expert] + at * strips.bytes();
#pragma unroll
        for (int m = 0; m < kMatrices; m++) {
            const uint8_t *from = record + p.offsets[m];
            out.tiles[m] = from + int64_t(first) * Format::kTileBytes;
            out.sides[m] = from + strips.tiles * Format::kTileBytes + first * Format::kSideBytes;
        }
        out.there = min(int(strips.tiles) - first, int(kChunkTiles));
        return out;
    }
    static __device__ __forceinline__ void load(const Chunk &chunk, int i, Raw (&raws)[kAhead]) {
        const int matrix = i / kChunkTiles, tile = i % kChunkTiles;
        if (tile < chunk.there)
            raws[i % kAhead] = Format::template load<formats::ReadGlobal>(
                chunk.tiles[matrix] + tile * Format::kTileBytes,
                chunk.sides[matrix] + tile * Format::kSideBytes);
    }
    // Calls take(matrix, tile of the chunk, whether it is the last one, raw) for the tiles of a
    // chunk in order. Their first kAhead are in raws; those of `next` are asked for.
    template <typename Take>
    static __device__ __forceinline__ void each_tile(const Chunk &chunk, const Chunk &next,
                                                     Raw (&raws)[kAhead], const Take &take) {
#pragma unroll
        for (int i = 0; i < kTiles; i++) {
            const Raw raw = raws[i % kAhead];
            if (i + kAhead < kTiles)
                load(chunk, i + kAhead, raws);
            else
                load(next, i + kAhead - kTiles, raws);
            if (i % kChunkTiles < chunk.there)
                take(i / kChunkTiles, i % kChunkTiles, i % kChunkTiles + 1 == chunk.there, raw);
        }
    }

    __device__ __forceinline__ uint2 codes(const int8_t *x, int group) const {
        return group < groups ? *reinterpret_cast<const uint2 *>(x + group * 32 + quarter * 8)
                              : make_uint2(0, 0);
    }
    __device__ __forceinline__ float4 scales(const float *x, int tile) const {
        const int g = tile * 4;
        if (groups % 4 == 0)
            return g < groups ? *reinterpret_cast<const float4 *>(x + g) : float4{0, 0, 0, 0};
        return {g < groups ? x[g] : 0.0f, g + 1 < groups ? x[g + 1] : 0.0f,
                g + 2 < groups ? x[g + 2] : 0.0f, g + 3 < groups ? x[g + 3] : 0.0f};
    }

    // A line alone: tile sums go to sums[chunk][tile][row].
    template <typename EachTile>
    __device__ __forceinline__ void one_line(const Unit &unit, int chunk, float *sums,
                                             const EachTile &each) const {
        const int64_t from = input_row<kGated>(p, unit.first);
        const int8_t *x = p.quants + from * p.cols;
        const float *x_scales = p.scales + from * groups;
        // round r takes groups 2 r and 2 r + 1 of each tile, in columns 2 tile and 2 tile + 1
        const int group = chunk * 16 + row / 2 * 4 + row % 2;
        const uint2 b[2] = {codes(x, group), codes(x, group + 2)};
        const float4 xs = scales(x_scales, chunk * kChunkTiles + quarter);
        int32_t sum[2][4], minimum[2][4];
        typename Format::Scales mine{};
        each([&](int matrix, int i, bool is_last, const Raw &raw) {
            if (i == 0) clear(sum), clear(minimum);
            const typename Format::Scales all = Format::scales(raw);
            if (i == 0 || quarter == i) mine = all;
#pragma unroll
            for (int g = 0; g < 4; g++) {
                const uint32_t on = row == 2 * i + g % 2 ? 0xffffffffu : 0u;
                const uint32_t column[2] = {b[g / 2].x & on, b[g / 2].y & on};
                multiply(raw, g, column, sum[g / 2], minimum[g / 2]);
            }
            if (!is_last) return;
            float *out = sums + (int64_t(chunk) * kLines + quarter) * kSumRows +
                         matrix * kChannels + strip * formats::kTileRows + row;
            out[0] = tile_sum(sum, minimum, mine, xs, 0);
            out[8] = tile_sum(sum, minimum, mine, xs, 1);
        });
    }
    static __device__ __forceinline__ void clear(int32_t (&sum)[2][4]) {
#pragma unroll
        for (int i = 0; i < 8; i++) sum[i / 4][i % 4] = kFloatBias;
    }
    __device__ __forceinline__ void multiply(const Raw &raw, int group, const uint32_t (&b)[2],
                                             int32_t (&sum)[4], int32_t (&minimum)[4]) const {
        uint32_t a[4];
        Format::words(raw, group, table, a);
        device::mma_s8(sum, a, b);
        if constexpr (Format::kHasMinimums) {
            Format::minimums(raw, group, a);
            device::mma_s8(minimum, a, b);
        }
    }
    // The four groups of this lane's tile. A tile that is not there has zeros in x.
    static __device__ __forceinline__ float tile_sum(const int32_t (&sum)[2][4],
                                                     const int32_t (&minimum)[2][4],
                                                     const typename Format::Scales &scales,
                                                     const float4 &xs, int half) {
        const float x[4] = {xs.x, xs.y, xs.z, xs.w};
        float minimum_scale = 0.0f, total = 0.0f;
        if constexpr (Format::kHasMinimums) minimum_scale = Format::minimum_scale(scales, half);
#pragma unroll
        for (int g = 0; g < 4; g++)
            total = add_group<Format>(total, sum[g / 2][g % 2 + 2 * half],
                                      Format::scale(scales, half, g),
                                      minimum[g / 2][g % 2 + 2 * half], minimum_scale, x[g]);
        return total;
    }

    // Up to eight lines, a column each: sums of chunks go to sums[chunk][line][row].
    template <typename EachTile>
    __device__ __forceinline__ void some_lines(const Unit &unit, int chunk, float *sums,
                                               const EachTile &each) const {
        const int first = unit.first, count = unit.count();
        // columns without a line repeat the first
        const int64_t column = input_row<kGated>(p, first + (row < count ? row : 0));
        const int64_t result[2] = {
            input_row<kGated>(p, first + (2 * quarter < count ? 2 * quarter : 0)),
            input_row<kGated>(p, first + (2 * quarter + 1 < count ? 2 * quarter + 1 : 0))};
        const int8_t *x = p.quants + column * p.cols;
        float total[4];
        each([&](int matrix, int i, bool is_last, const Raw &raw) {
            if (i == 0) total[0] = total[1] = total[2] = total[3] = 0.0f;
            const int at = chunk * kChunkTiles + i;
            const float4 xs[2] = {scales(p.scales + result[0] * groups, at),
                                  scales(p.scales + result[1] * groups, at)};
            float part[4];
            tile_sums(raw, x, at, xs, part);
#pragma unroll
            for (int k = 0; k < 4; k++) total[k] += part[k];
            if (!is_last) return;
            float *out = sums + (int64_t(chunk) * kLines + 2 * quarter) * kSumRows +
                         matrix * kChannels + strip * formats::kTileRows + row;
            out[0] = total[0], out[kSumRows] = total[1];
            out[8] = total[2], out[kSumRows + 8] = total[3];
        });
    }
    __device__ __forceinline__ void tile_sums(const Raw &raw, const int8_t *x, int tile,
                                              const float4 (&xs)[2], float (&part)[4]) const {
        const typename Format::Scales all = Format::scales(raw);
        const float x_scales[2][4] = {{xs[0].x, xs[0].y, xs[0].z, xs[0].w},
                                      {xs[1].x, xs[1].y, xs[1].z, xs[1].w}};
        uint2 b[4];
#pragma unroll
        for (int g = 0; g < 4; g++) b[g] = codes(x, tile * 4 + g);
        part[0] = part[1] = part[2] = part[3] = 0.0f;
#pragma unroll
        for (int g = 0; g < 4; g++) {
            int32_t sum[4] = {kFloatBias, kFloatBias, kFloatBias, kFloatBias},
                    minimum[4] = {kFloatBias, kFloatBias, kFloatBias, kFloatBias};
            const uint32_t column[2] = {b[g].x, b[g].y};
            multiply(raw, g, column, sum, minimum);
#pragma unroll
            for (int k = 0; k < 4; k++) {
                float minimum_scale = 0.0f;
                if constexpr (Format::kHasMinimums)
                    minimum_scale = Format::minimum_scale(all, k / 2);
                part[k] = add_group<Format>(part[k], sum[k], Format::scale(all, k / 2, g),
                                            minimum[k], minimum_scale, x_scales[k % 2][g]);
            }
        }
    }

    // The sum of a row of a line. is_single: the sums are of tiles.
    __device__ __forceinline__ float total(const float *sums, int at, int line,
                                           bool is_single) const {
        float sum = 0.0f;
        for (int chunk = 0; chunk < chunks; chunk++) {
            const float *of_chunk = sums + int64_t(chunk) * kLines * kSumRows + at;
            if (!is_single) {
                sum += of_chunk[line * kSumRows];
                continue;
            }
            sum += ((of_chunk[0] + of_chunk[kSumRows]) + of_chunk[2 * kSumRows]) +
                   of_chunk[3 * kSumRows];
        }
        return sum;
    }
    __device__ void finish(const float *sums, int first, int count) const {
        const int64_t channel = int64_t(blockIdx.x) * kChannels;
        if constexpr (kGated) {
            const int line = device::warp();
            if (line >= count) return;
            const float gate = total(sums, device::lane(), line, count == 1),
                        up = total(sums, kChannels + device::lane(), line, count == 1);
            store_hidden(p, first + line, channel, gate, up);
        } else {
            const int line = int(threadIdx.x) / kChannels, at = int(threadIdx.x) % kChannels;
            if (line >= count || channel + at >= p.rows) return;
            p.out[int64_t(first + line) * p.rows + channel + at] =
                total(sums, at, line, count == 1);
        }
    }

    __device__ void run(float *sums) const {
        const int active = p.lines.active_count[0];
        Unit unit = unit_of(int(blockIdx.y), active);
        Chunk tiles = chunk_of(unit, slice);
        Raw raws[kAhead] = {};
#pragma unroll
        for (int i = 0; i < kAhead; i++) load(tiles, i, raws);
        for (int turn = 0; unit.is_there; turn ^= 1) {
            float *out = sums + turn * sums_of(p.cols);
            const Unit following = after(unit, active);
            for (int chunk = slice; chunk < chunks; chunk += kSlices) {
                const bool is_last = chunk + kSlices >= chunks;
                Unit owner = following; // of the next chunk
                if (!is_last) owner = unit;
                const Chunk next = chunk_of(owner, is_last ? slice : chunk + kSlices);
                const auto each = [&](const auto &take) { each_tile(tiles, next, raws, take); };
                if (kSingle || unit.count() == 1)
                    one_line(unit, chunk, out, each);
                else if constexpr (!kSingle)
                    some_lines(unit, chunk, out, each);
                tiles = next;
            }
            __syncthreads();
            finish(out, unit.first, unit.count());
            unit = following;
        }
    }
};

template <typename Format, bool kGated, bool kSingle>
__global__ void __launch_bounds__(512, 1) few_lines_kernel(Projection p) {
    uint32_t *table = &device::shared_memory<uint32_t>();
    Format::SharedTable::fill(table);
    device::await_previous();
    device::let_next_begin();
    if constexpr (Format::SharedTable::kWords != 0) __syncthreads();
    const FewLines<Format, kGated, kSingle> block(p, table);
    block.run(reinterpret_cast<float *>(table + Format::SharedTable::kWords));
}

// most_active: experts that may have lines.
template <typename Format, bool kGated, bool kSingle>
void launch_few_lines(const Projection &p, int64_t most_active, device::Stream &stream) {
    using Block = FewLines<Format, kGated, kSingle>;
    constexpr int64_t kBlocks = 132; // about one a multiprocessor, so that each does as much
    const int64_t across = (p.rows + Block::kChannels - 1) / Block::kChannels;
    const int64_t share = std::max<int64_t>(1, kBlocks / across);
    device::launch(few_lines_kernel<Format, kGated, kSingle>,
                   {.blocks = across,
                    .blocks_y = int(std::min(most_active, share)),
                    .threads = Block::kThreads,
                    .shared_bytes = Block::shared_bytes(p.cols),
                    .after_trigger = true},
                   stream, p);
}

} // namespace ds4::kernels::experts
