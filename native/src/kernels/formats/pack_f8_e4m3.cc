#include <cstring>

#include "kernels/formats/stored_rows.h"

namespace ds4::kernels::formats {

void pack_strip_f8_e4m3(const StoredMatrix &matrix, int64_t strip, uint8_t *out) {
    constexpr int kBytes = 2048;
    const StoredRows rows(matrix, strip);
    const int64_t tiles = tiles_of(matrix.cols);
    std::memset(out, 0, size_t(strip_bytes(kBytes, 1, tiles)));
    std::memcpy(out + tiles * kBytes, matrix.scales + strip * kTileRows / 128 * tiles,
                size_t(tiles));
    for (int64_t tile = 0; tile < tiles; tile++, out += kBytes)
        for (int group = 0; group < kTileGroups; group++)
            for_each_lane(tile, group, [&](int row, int64_t column, int lane, int half) {
                if (rows.row[row] == nullptr) return;
                for (int64_t i = 0; i < 8 && column + i < matrix.cols; i++) {
                    const int byte = i % 4 == 1 ? 2 : i % 4 == 2 ? 1 : int(i % 4);
                    out[group * 512 + lane * 16 + half * 4 + i / 4 * 8 + byte] =
                        rows.row[row][column + i];
                }
            });
}

} // namespace ds4::kernels::formats
