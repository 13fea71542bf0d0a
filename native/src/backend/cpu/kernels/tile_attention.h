// Softmax attention over packed KV rows on tile registers (AMX-BF16). Plain declarations only:
// files of one instruction set include this.
//
// Rows are held as bf16, which is exact: E4M3 times a power of two, and bf16. Chunks of 32 rows
// have them twice, since a tile takes one operand by rows and the other by pairs:
//   keys     [32 rows][dim], kChunkPadding bytes between rows
//   values   [16 pairs of rows][dim][2], kChunkPadding bytes between pairs
// Queries and weights are f32, divided into three bf16 terms without a rest. Products are summed in
// f32: a score over its channels, an output over its rows. A group of 32 has chains of its own for
// the even and for the odd ones, term by term. Denormals count as zero.
#pragma once
#include <cstdint>

#include "kv/row_formats.h"
#include "machine/instruction_sets.h"

namespace ds4::cpu {

inline constexpr int64_t kChunkRows = 32, kChunkPadding = 64;
inline constexpr int64_t kTileHeads = 16;     // heads of a tile
inline constexpr int64_t kMaxTiledHeads = 32; // heads of one call

inline constexpr int64_t tile_key_stride(int64_t dim) { return dim * 2 + kChunkPadding; }
inline constexpr int64_t tile_pair_stride(int64_t dim) { return dim * 4 + kChunkPadding; }
// Chunks that rows 0 .. rows - 1 take, in bytes.
inline constexpr int64_t tiled_rows_bytes(int64_t rows, int64_t dim) {
    return (rows + kChunkRows - 1) / kChunkRows *
           (kChunkRows * tile_key_stride(dim) + kChunkRows / 2 * tile_pair_stride(dim));
}

// Rows first .. first + count - 1 of chunks. All other rows of a chunk are finite as values.
struct TiledRows {
    const uint8_t *chunks;
    int64_t first, count;
};
struct TiledQuery {
    const float *q; // [heads, dim]
    int64_t heads;  // at most kMaxTiledHeads
    int64_t dim;
    float scale;        // of scores
    const float *sinks; // [heads]; null: none
};
// The sums of a head are the largest score, the sum of weights and the weighted sum of rows [dim].
// Those of the next head begin `stride` floats later.

struct TileAttention {
    // Row `index` of chunks from a packed KV row. Rows of a pair may be written at the same time.
    void (*load_row)(const KvRowFormat &format, const uint8_t *row, uint8_t *chunks, int64_t index);
    void (*clear_row)(const KvRowFormat &format, uint8_t *chunks, int64_t index);
    // Attention over the rows of the window, then the compressed ones. scratch: scratch_bytes,
    // aligned to 64.
    void (*attend)(const TiledQuery &query, const TiledRows &window, const TiledRows &compressed,
                   uint8_t *scratch, float *sums, int64_t stride);
};
// rows: as many as both kinds have together, and 32 more for each kind.
int64_t tile_scratch_bytes(int64_t rows, int64_t dim);

extern const TileAttention kTileAttentionAmx;
// Null where the instruction set was not asked for, the CPU has no tiles, or rows are not packed.
const TileAttention *tile_attention(Isa isa, const KvRowFormat &format);

} // namespace ds4::cpu
