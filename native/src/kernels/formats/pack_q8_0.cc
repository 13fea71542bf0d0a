#include <cstring>

#include "format/blocks.h"
#include "kernels/formats/stored_rows.h"

namespace ds4::kernels::formats {

void pack_strip_q8_0(const StoredMatrix &matrix, int64_t strip, uint8_t *out) {
    constexpr int kBytes = 2176;
    const StoredRows rows(matrix, strip);
    const int64_t tiles = tiles_of(matrix.cols), blocks = matrix.cols / kGroupCols;
    std::memset(out, 0, size_t(tiles * kBytes));
    for (int64_t tile = 0; tile < tiles; tile++, out += kBytes)
        for (int group = 0; group < kTileGroups && tile * kTileGroups + group < blocks; group++)
            for_each_lane(tile, group, [&](int row, int64_t column, int lane, int half) {
                if (rows.row[row] == nullptr) return;
                const auto *block =
                    reinterpret_cast<const BlockQ8_0 *>(rows.row[row]) + column / kGroupCols;
                const int8_t *codes = block->q + column % kGroupCols;
                uint8_t *place = out + group * 512 + lane * 16 + half * 4;
                std::memcpy(place, codes, 4), std::memcpy(place + 8, codes + 4, 4);
                if (lane % 4 == 0)
                    std::memcpy(out + 2048 + lane / 4 * 16 + group * 4 + half * 2, block->d, 2);
            });
}

} // namespace ds4::kernels::formats
