// Packing of canonical rows into tiles, and back.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/methods.h"

namespace ds4::ktb {

// The canonical rows of a tile, each from its first column. Scales are E8M0 or f32, and null where
// the method has none.
struct TileRows {
    const uint8_t *codes[kTileRows];
    const uint8_t *scales[kTileRows];
};

// Consecutive tiles of the same rows: `tiles` of `inputs` columns each, from `column` on.
struct Strip {
    int column, inputs, tiles;
    uint8_t *first; // 64-byte aligned
    size_t stride;  // bytes to the next tile
};

// Channels of MXFP4 that are packed at once: 64 bytes of codes a row, one cache line.
constexpr int kPackChannels = 128;

// For MXFP4, strip.inputs is 32 and strip.tiles a multiple of 4.
void pack_strip(Method method, const TileRows &rows, const Strip &strip);
// Unpacks row `row` of a tile of `inputs` columns: row_bytes to codes, scale_row_bytes to scales.
void unpack_row(Method method, const uint8_t *tile, int inputs, int row, uint8_t *codes,
                uint8_t *scales);

} // namespace ds4::ktb
