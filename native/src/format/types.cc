#include "format/blocks.h"
#include "format/convert.h"

#include "ds4.h"

namespace ds4 {

const TypeTraits *type_traits(uint32_t type) {
    static constexpr TypeTraits kF32{"F32", 1, 4, false};
    static constexpr TypeTraits kF16{"F16", 1, 2, false};
    static constexpr TypeTraits kBf16{"BF16", 1, 2, false};
    static constexpr TypeTraits kI32{"I32", 1, 4, false};
    static constexpr TypeTraits kI64{"I64", 1, 8, false};
    static constexpr TypeTraits kQ8_0{"Q8_0", 32, sizeof(BlockQ8_0), false};
    static constexpr TypeTraits kQ2K{"Q2_K", 256, sizeof(BlockQ2K), false};
    static constexpr TypeTraits kQ4K{"Q4_K", 256, sizeof(BlockQ4K), false};
    static constexpr TypeTraits kIq2Xxs{"IQ2_XXS", 256, sizeof(BlockIq2Xxs), false};
    static constexpr TypeTraits kMxfp4{"MXFP4", 32, sizeof(BlockMxfp4), false};
    static constexpr TypeTraits kF8E4m3{"F8_E4M3", 1, 1, true};
    static constexpr TypeTraits kFp4Packed{"FP4_PACKED", 32, 16, true};
    static constexpr TypeTraits kF8E8m0{"F8_E8M0", 1, 1, false};
    switch (type) {
    case DS4_TYPE_F32: return &kF32;
    case DS4_TYPE_F16: return &kF16;
    case DS4_TYPE_BF16: return &kBf16;
    case DS4_TYPE_I32: return &kI32;
    case DS4_TYPE_I64: return &kI64;
    case DS4_TYPE_Q8_0: return &kQ8_0;
    case DS4_TYPE_Q2_K: return &kQ2K;
    case DS4_TYPE_Q4_K: return &kQ4K;
    case DS4_TYPE_IQ2_XXS: return &kIq2Xxs;
    case DS4_TYPE_MXFP4: return &kMxfp4;
    case DS4_TYPE_F8_E4M3: return &kF8E4m3;
    case DS4_TYPE_FP4_PACKED: return &kFp4Packed;
    case DS4_TYPE_F8_E8M0: return &kF8E8m0;
    default: return nullptr;
    }
}

uint64_t row_bytes(uint32_t type, uint64_t cols) {
    const TypeTraits *traits = type_traits(type);
    if (traits == nullptr || cols % traits->block_elements != 0) return 0;
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(cols / traits->block_elements, uint64_t(traits->block_bytes),
                               &bytes))
        return 0;
    return bytes;
}

uint64_t scale_bytes(uint32_t type, uint64_t rows, uint64_t cols) {
    uint64_t bytes = 0;
    if (type == DS4_TYPE_F8_E4M3) {
        const uint64_t tall = rows / 128 + (rows % 128 != 0), wide = cols / 128 + (cols % 128 != 0);
        return __builtin_mul_overflow(tall, wide, &bytes) ? 0 : bytes;
    }
    if (type == DS4_TYPE_FP4_PACKED)
        return __builtin_mul_overflow(rows, cols / 32, &bytes) ? 0 : bytes;
    return 0;
}

} // namespace ds4
