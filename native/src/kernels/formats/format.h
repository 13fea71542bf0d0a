// How packed matrices lie in memory, and what a format is.
//
// A matrix is cut into strips of 16 rows, a strip into tiles of 128 columns, a tile into four
// groups of 32. Rows and columns past the matrix are zeros. The tiles of a strip lie one after
// another; then come its side bytes, `side_bytes` a tile, filled up to a multiple of 128.
//
// A tile has the order of mma fragments. Lane l of a warp holds rows l / 4 and l / 4 + 8 of a
// group, and its columns 8 (l % 4) up to + 7. One aligned load brings eight neighbours, since
// products may take k in any order.
//
// The host's side of a format is a row of the table in format.cc. The device's side is a struct in
// <type>.cuh, see format.cuh.
#pragma once
#include <cstdint>

#include "kernels/matmul/packed_matrix.h"

namespace ds4::kernels::formats {

inline constexpr int kTileRows = 16, kTileCols = 128, kGroupCols = 32, kTileGroups = 4;
inline constexpr int kLineBytes = 128;

struct HostFormat {
    int tile_bytes = 0; // a multiple of 16
    int side_bytes = 0; // a tile
    // Packs rows 16 strip .. 16 strip + 15 to out, which has strip_bytes.
    void (*pack_strip)(const StoredMatrix &matrix, int64_t strip, uint8_t *out) = nullptr;
};
// nullptr for a type that no kernel takes.
const HostFormat *host_format(uint32_t type);

inline constexpr int64_t tiles_of(int64_t cols) { return (cols + kTileCols - 1) / kTileCols; }
inline constexpr int64_t strips_of(int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }
inline constexpr int64_t strip_bytes(int64_t tile_bytes, int64_t side_bytes, int64_t tiles) {
    return tiles * tile_bytes + (tiles * side_bytes + kLineBytes - 1) / kLineBytes * kLineBytes;
}

void pack_strip_f32(const StoredMatrix &matrix, int64_t strip, uint8_t *out);
void pack_strip_16bit(const StoredMatrix &matrix, int64_t strip, uint8_t *out);
void pack_strip_q8_0(const StoredMatrix &matrix, int64_t strip, uint8_t *out);
void pack_strip_f8_e4m3(const StoredMatrix &matrix, int64_t strip, uint8_t *out);
void pack_strip_iq2_xxs(const StoredMatrix &matrix, int64_t strip, uint8_t *out);
void pack_strip_q2_k(const StoredMatrix &matrix, int64_t strip, uint8_t *out);
void pack_strip_q4_k(const StoredMatrix &matrix, int64_t strip, uint8_t *out);
void pack_strip_mxfp4(const StoredMatrix &matrix, int64_t strip, uint8_t *out);

} // namespace ds4::kernels::formats
