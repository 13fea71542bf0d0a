// Random weights of every stored type, with scales as weights have them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ds4.h"
#include "format/blocks.h"

namespace ds4::bench {

struct WeightType {
    uint32_t type;
    bool int8; // has a product with int8 activations
};
constexpr WeightType kTypes[] = {
    {DS4_TYPE_Q8_0, true},     {DS4_TYPE_MXFP4, true}, {DS4_TYPE_FP4_PACKED, true},
    {DS4_TYPE_Q4_K, true},     {DS4_TYPE_Q2_K, true},  {DS4_TYPE_IQ2_XXS, true},
    {DS4_TYPE_F16, false},     {DS4_TYPE_BF16, false}, {DS4_TYPE_F32, false},
    {DS4_TYPE_F8_E4M3, false},
};

inline void fill(uint8_t *bytes, uint64_t count) {
    uint64_t state = 0x9e3779b97f4a7c15ull;
    for (uint64_t i = 0; i + 8 <= count; i += 8) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        std::memcpy(bytes + i, &state, 8);
    }
}

// Gives every block of random bytes a scale near 2^-8: random exponents would make subnormal sums.
inline void set_scales(uint32_t type, uint8_t *codes, uint64_t count, uint8_t *scales,
                       uint64_t scale_count) {
    constexpr uint16_t kHalf = 0x1c00, kBfloat = 0x3b80, kE8m0 = 119;
    const auto set = [&](uint64_t stride, uint64_t offset, uint16_t value, size_t bytes = 2) {
        for (uint64_t i = offset; i + bytes <= count; i += stride)
            std::memcpy(codes + i, &value, bytes);
    };
    switch (type) {
    case DS4_TYPE_Q8_0: return set(sizeof(BlockQ8_0), 0, kHalf);
    case DS4_TYPE_MXFP4: return set(sizeof(BlockMxfp4), 0, kE8m0, 1);
    case DS4_TYPE_IQ2_XXS: return set(sizeof(BlockIq2Xxs), 0, kHalf);
    case DS4_TYPE_Q4_K:
        set(sizeof(BlockQ4K), offsetof(BlockQ4K, d), kHalf);
        return set(sizeof(BlockQ4K), offsetof(BlockQ4K, dmin), kHalf);
    case DS4_TYPE_Q2_K:
        set(sizeof(BlockQ2K), offsetof(BlockQ2K, d), kHalf);
        return set(sizeof(BlockQ2K), offsetof(BlockQ2K, dmin), kHalf);
    case DS4_TYPE_F16: return set(2, 0, kHalf);
    case DS4_TYPE_BF16: return set(2, 0, kBfloat);
    case DS4_TYPE_F32: return set(4, 2, kBfloat);
    default:
        for (uint64_t i = 0; i < count && type == DS4_TYPE_F8_E4M3; i++) codes[i] &= 0xbf;
        std::memset(scales, int(kE8m0), scale_count);
    }
}

} // namespace ds4::bench
