#include <algorithm>
#include <cstring>

#include "kernels/formats/stored_rows.h"

namespace ds4::kernels::formats {

void pack_strip_f32(const StoredMatrix &matrix, int64_t strip, uint8_t *out) {
    const StoredRows rows(matrix, strip);
    const int64_t tiles = tiles_of(matrix.cols);
    std::memset(out, 0, size_t(tiles * 8192));
    for (int64_t tile = 0; tile < tiles; tile++, out += 8192)
        for (int group = 0; group < kTileGroups; group++)
            for_each_lane(tile, group, [&](int row, int64_t column, int lane, int half) {
                for (int part = 0; part < 2 && rows.row[row] != nullptr; part++) {
                    const int64_t from = column + part * 4,
                                  count = std::clamp<int64_t>(matrix.cols - from, 0, 4);
                    std::memcpy(out + (group * 4 + part * 2 + half) * 512 + lane * 16,
                                rows.row[row] + from * 4, size_t(count * 4));
                }
            });
}

void pack_strip_16bit(const StoredMatrix &matrix, int64_t strip, uint8_t *out) {
    const StoredRows rows(matrix, strip);
    const int64_t tiles = tiles_of(matrix.cols);
    std::memset(out, 0, size_t(tiles * 4096));
    for (int64_t tile = 0; tile < tiles; tile++, out += 4096)
        for (int group = 0; group < kTileGroups; group++)
            for_each_lane(tile, group, [&](int row, int64_t column, int lane, int half) {
                const int64_t count = std::clamp<int64_t>(matrix.cols - column, 0, 8);
                if (rows.row[row] == nullptr || count == 0) return;
                std::memcpy(out + (group * 2 + half) * 512 + lane * 16, rows.row[row] + column * 2,
                            size_t(count * 2));
            });
}

} // namespace ds4::kernels::formats
