// Rows of a strip as the file stores them.
#pragma once
#include <cstdint>

#include "format/convert.h"
#include "kernels/formats/format.h"

namespace ds4::kernels::formats {

// The rows of one strip. Rows past the matrix are null.
struct StoredRows {
    const uint8_t *row[kTileRows] = {};

    StoredRows(const StoredMatrix &matrix, int64_t strip) {
        const auto bytes = int64_t(row_bytes(matrix.type, uint64_t(matrix.cols)));
        for (int r = 0; r < kTileRows; r++) {
            const int64_t at = strip * kTileRows + r;
            if (at < matrix.rows) row[r] = matrix.data + at * bytes;
        }
    }
};

// Calls place(row of the strip, first column, lane, half of the rows) for every lane of a group.
// Lanes have eight columns each.
template <typename Place> void for_each_lane(int64_t tile, int group, const Place &place) {
    for (int lane = 0; lane < 32; lane++)
        for (int half = 0; half < 2; half++)
            place(lane / 4 + 8 * half, tile * kTileCols + group * kGroupCols + lane % 4 * 8, lane,
                  half);
}

} // namespace ds4::kernels::formats
