// Q2_K and Q4_K.
#include <cstring>

#include "format/blocks.h"
#include "kernels/formats/stored_rows.h"

namespace ds4::kernels::formats {
namespace {

// d and dmin of a block of 256 in the side bytes, two tiles together: [8 pairs of rows][2 rows].
void put_block_scales(const uint8_t *d, const uint8_t *dmin, int64_t tile, int row, uint8_t *side) {
    uint8_t *place = side + tile / 2 * 64 + row % 8 * 8 + row / 8 * 4;
    std::memcpy(place, d, 2), std::memcpy(place + 2, dmin, 2);
}

void put_bits(uint8_t *word, uint32_t bits, int shift) {
    const uint32_t value = load_u32(word) | bits << shift;
    std::memcpy(word, &value, 4);
}

} // namespace

void pack_strip_q2_k(const StoredMatrix &matrix, int64_t strip, uint8_t *out) {
    constexpr int kBytes = 640, kSide = 32;
    const StoredRows rows(matrix, strip);
    const int64_t tiles = tiles_of(matrix.cols);
    std::memset(out, 0, size_t(strip_bytes(kBytes, kSide, tiles)));
    uint8_t *const side = out + tiles * kBytes;
    for (int64_t tile = 0; tile < tiles; tile++, out += kBytes)
        for (int group = 0; group < kTileGroups; group++)
            for_each_lane(tile, group, [&](int row, int64_t column, int lane, int half) {
                if (rows.row[row] == nullptr) return;
                const auto *block =
                    reinterpret_cast<const BlockQ2K *>(rows.row[row]) + column / 256;
                const int upper = int(tile % 2), quarter = lane % 4;
                for (int i = 0; i < 8; i++) {
                    const uint32_t q = block->q[32 * upper + quarter * 8 + i] >> (2 * group) & 3u;
                    put_bits(out + lane * 16 + half * 8 + group / 2 * 4, q,
                             i % 4 * 8 + group % 2 * 4 + i / 4 * 2);
                }
                // scales: [8 pairs of rows][2 halves of a group][2 rows][4 groups]
                if (quarter % 2 == 0)
                    out[512 + row % 8 * 16 + quarter / 2 * 8 + half * 4 + group] =
                        block->scales[8 * upper + 2 * group + quarter / 2];
                if (quarter == 0) put_block_scales(block->d, block->dmin, tile, row, side);
            });
}

void pack_strip_q4_k(const StoredMatrix &matrix, int64_t strip, uint8_t *out) {
    constexpr int kBytes = 1120, kSide = 32;
    const StoredRows rows(matrix, strip);
    const int64_t tiles = tiles_of(matrix.cols);
    std::memset(out, 0, size_t(strip_bytes(kBytes, kSide, tiles)));
    uint8_t *const side = out + tiles * kBytes;
    for (int64_t tile = 0; tile < tiles; tile++, out += kBytes)
        for (int group = 0; group < kTileGroups; group++)
            for_each_lane(tile, group, [&](int row, int64_t column, int lane, int half) {
                if (rows.row[row] == nullptr) return;
                const auto *block =
                    reinterpret_cast<const BlockQ4K *>(rows.row[row]) + column / 256;
                const int j = int(tile % 2) * 4 + group, quarter = lane % 4;
                const uint8_t *codes = block->q + 32 * (j / 2) + quarter * 8;
                for (int i = 0; i < 8; i++)
                    put_bits(out + half * 512 + lane * 16 + group * 4,
                             codes[i] >> (j % 2 * 4) & 15u, i % 4 * 8 + i / 4 * 4);
                if (quarter != 0) return;
                // low bits of a row: 4 scales, 4 minimums; then upper bits of both rows
                const Q4KScale s = q4k_scale(block->scales, j);
                put_bits(out + 1024 + half * 32 + row % 8 * 4, s.scale & 15u, 4 * group);
                put_bits(out + 1024 + half * 32 + row % 8 * 4, s.min & 15u, 16 + 4 * group);
                put_bits(out + 1024 + 64 + row % 8 * 4, s.scale >> 4 | s.min >> 4 << 2,
                         16 * half + 4 * group);
                put_block_scales(block->d, block->dmin, tile, row, side);
            });
}

} // namespace ds4::kernels::formats
