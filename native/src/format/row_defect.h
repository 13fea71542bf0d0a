// Stored values that are no numbers. A loader refuses them before any arithmetic meets them.
#pragma once
#include <cstddef>
#include <cstdint>

namespace ds4 {

// Why a stored row of `cols` values cannot be decoded to numbers ("an E8M0 scale is NaN"), or null.
// scales: as for decode_row. Rows of F32, F16 and BF16 may hold infinities and NaN: null.
const char *row_defect(uint32_t type, const uint8_t *row, const uint8_t *scales, int64_t cols);

// Whether some of `count` bf16 words is an infinity or NaN. Any alignment.
bool has_infinite_bf16(const uint8_t *words, size_t count);

} // namespace ds4
