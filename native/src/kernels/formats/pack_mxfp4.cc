// MXFP4 and FP4_PACKED, which have one packed form.
#include <cstring>

#include "format/blocks.h"
#include "kernels/formats/stored_rows.h"

#include "ds4.h"

namespace ds4::kernels::formats {
namespace {

// Code i = 0..31 of a block of 32.
uint32_t stored_code(uint32_t type, const uint8_t *row, int64_t block, int i) {
    if (type == DS4_TYPE_FP4_PACKED) return row[block * 16 + i / 2] >> (i % 2 * 4) & 15u;
    const auto &stored = reinterpret_cast<const BlockMxfp4 *>(row)[block];
    return stored.q[i % 16] >> (i / 16 * 4) & 15u;
}

// Eight codes of a lane: magnitude i in bits 4 i .. 4 i + 2; signs 0..3 at the top of the bytes,
// signs 4..7 at the top of their lower halves. -0 becomes 0.
uint32_t word_of(uint32_t type, const uint8_t *row, int64_t block, int first) {
    uint32_t word = 0;
    for (int i = 0; i < 8; i++) {
        const uint32_t code = stored_code(type, row, block, first + i), sign = code >> 3;
        word |= (code & 7u) << (4 * i);
        if ((code & 7u) != 0) word |= sign << (i % 4 * 8 + (i < 4 ? 7 : 3));
    }
    return word;
}

} // namespace

void pack_strip_mxfp4(const StoredMatrix &matrix, int64_t strip, uint8_t *out) {
    constexpr int kBytes = 1088;
    const StoredRows rows(matrix, strip);
    const int64_t tiles = tiles_of(matrix.cols), blocks = matrix.cols / kGroupCols;
    std::memset(out, 0, size_t(tiles * kBytes));
    for (int64_t tile = 0; tile < tiles; tile++, out += kBytes)
        for (int group = 0; group < kTileGroups && tile * kTileGroups + group < blocks; group++)
            for_each_lane(tile, group, [&](int row, int64_t column, int lane, int half) {
                const uint8_t *from = rows.row[row];
                if (from == nullptr) return;
                const int64_t block = column / kGroupCols;
                const uint32_t word = word_of(matrix.type, from, block, int(column % kGroupCols));
                std::memcpy(out + half * 512 + lane * 16 + group * 4, &word, 4);
                out[1024 + row % 8 * 8 + half * 4 + group] =
                    matrix.type == DS4_TYPE_FP4_PACKED
                        ? matrix.scales[(strip * kTileRows + row) * blocks + block]
                        : reinterpret_cast<const BlockMxfp4 *>(from)[block].e;
            });
}

} // namespace ds4::kernels::formats
