// Storage types of weights: sizes, exact decoding to f32, and encoding where the loader or the
// quantiser needs it.
#pragma once
#include <cstdint>

namespace ds4 {

struct TypeTraits {
    const char *name;        // "Q8_0"
    uint32_t block_elements; // 1 for plain types
    uint32_t block_bytes;    // code bytes of a block
    bool separate_scales;    // F8_E4M3, FP4_PACKED
};
// nullptr for an unknown type
const TypeTraits *type_traits(uint32_t type);
// 0 if unknown or cols is not a multiple of the block
uint64_t row_bytes(uint32_t type, uint64_t cols);
// Bytes of the companion scales of [rows, cols]; 0 if the type has none.
uint64_t scale_bytes(uint32_t type, uint64_t rows, uint64_t cols);

// Decodes one row exactly to f32. `scales` points at the scales of this row: FP4_PACKED [cols/32],
// F8_E4M3 [ceil(cols/128)] of row/128.
void decode_row(uint32_t type, const uint8_t *row, const uint8_t *scales, float *out, int64_t cols);

} // namespace ds4
