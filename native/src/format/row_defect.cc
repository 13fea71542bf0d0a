#include "format/row_defect.h"

#include <cstddef>

#include "ds4.h"
#include "format/blocks.h"
#include "format/scalar.h"

namespace ds4 {
namespace {

bool has_nan_e8m0(const uint8_t *scales, int64_t count, int64_t stride) {
    for (int64_t i = 0; i < count; i++)
        if (scales[i * stride] == kE8m0Nan) return true;
    return false;
}

// Whether an f16 at the same place of some block is not finite.
bool has_bad_f16(const uint8_t *first, int64_t blocks, int64_t stride) {
    for (int64_t i = 0; i < blocks; i++)
        if ((load_u16(first + i * stride) & 0x7c00u) == 0x7c00u) return true;
    return false;
}

bool has_nan_e4m3(const uint8_t *codes, int64_t count) {
    int64_t i = 0;
    for (; i + 8 <= count;
         i += 8) { // eight codes at a time: only 0x7f without its sign carries into bit 7
        uint64_t word;
        std::memcpy(&word, codes + i, sizeof word);
        if ((((word & 0x7f7f7f7f7f7f7f7full) + 0x0101010101010101ull) & 0x8080808080808080ull) != 0)
            return true;
    }
    for (; i < count; i++)
        if (e4m3_is_nan(codes[i])) return true;
    return false;
}

} // namespace

const char *row_defect(uint32_t type, const uint8_t *row, const uint8_t *scales, int64_t cols) {
    constexpr const char *kNanScale = "an E8M0 scale is NaN (255)",
                         *kBadScale = "a block scale is not finite";
    switch (type) {
    case DS4_TYPE_MXFP4:
        return has_nan_e8m0(row, cols / 32, sizeof(BlockMxfp4)) ? kNanScale : nullptr;
    case DS4_TYPE_FP4_PACKED: return has_nan_e8m0(scales, cols / 32, 1) ? kNanScale : nullptr;
    case DS4_TYPE_F8_E4M3:
        if (has_nan_e8m0(scales, (cols + 127) / 128, 1)) return kNanScale;
        return has_nan_e4m3(row, cols) ? "an E4M3 value is NaN (0x7f or 0xff)" : nullptr;
    case DS4_TYPE_Q8_0: return has_bad_f16(row, cols / 32, sizeof(BlockQ8_0)) ? kBadScale : nullptr;
    case DS4_TYPE_Q2_K:
        return has_bad_f16(row + offsetof(BlockQ2K, d), cols / 256, sizeof(BlockQ2K)) ||
                       has_bad_f16(row + offsetof(BlockQ2K, dmin), cols / 256, sizeof(BlockQ2K))
                   ? kBadScale
                   : nullptr;
    case DS4_TYPE_Q4_K:
        return has_bad_f16(row, cols / 256, sizeof(BlockQ4K)) ||
                       has_bad_f16(row + offsetof(BlockQ4K, dmin), cols / 256, sizeof(BlockQ4K))
                   ? kBadScale
                   : nullptr;
    case DS4_TYPE_IQ2_XXS:
        return has_bad_f16(row, cols / 256, sizeof(BlockIq2Xxs)) ? kBadScale : nullptr;
    default: return nullptr;
    }
}

bool has_infinite_bf16(const uint8_t *words, size_t count) {
    uint32_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t exponent = load_u16(words + i * 2) & 0x7f80u;
        largest = largest > exponent ? largest : exponent;
    }
    return largest == 0x7f80u;
}

} // namespace ds4
