#include <cstring>

#include "format/blocks.h"
#include "kernels/formats/stored_rows.h"

namespace ds4::kernels::formats {
namespace {

// Bit 4 i + group: whether column i of the lane is negative, i < 7. The eighth is the parity.
uint32_t sign_bits(uint32_t word, int quarter, int group) {
    uint32_t bits = 0;
    for (int i = 0; i < 7; i++) bits |= (word >> (7 * quarter + i) & 1u) << (4 * i + group);
    return bits;
}

} // namespace

void pack_strip_iq2_xxs(const StoredMatrix &matrix, int64_t strip, uint8_t *out) {
    constexpr int kBytes = 512, kSide = 16;
    const StoredRows rows(matrix, strip);
    const int64_t tiles = tiles_of(matrix.cols);
    std::memset(out, 0, size_t(strip_bytes(kBytes, kSide, tiles)));
    uint8_t *const side = out + tiles * kBytes;
    for (int64_t tile = 0; tile < tiles; tile++, out += kBytes)
        for (int group = 0; group < kTileGroups; group++)
            for_each_lane(tile, group, [&](int row, int64_t column, int lane, int half) {
                if (rows.row[row] == nullptr) return;
                const auto *block =
                    reinterpret_cast<const BlockIq2Xxs *>(rows.row[row]) + column / 256;
                const int quarter = lane % 4;
                const uint8_t *stored = block->groups[column % 256 / kGroupCols];
                uint8_t *place = out + lane * 16 + half * 4;
                place[group] = stored[quarter];
                const uint32_t word = load_u32(stored + 4);
                uint32_t signs = load_u32(place + 8) | sign_bits(word, quarter, group);
                if (quarter == group) signs |= word >> 28 << 28;
                std::memcpy(place + 8, &signs, 4);
                if (quarter == 0)
                    std::memcpy(side + tile / 2 * 32 + row % 8 * 4 + half * 2, block->d, 2);
            });
}

} // namespace ds4::kernels::formats
