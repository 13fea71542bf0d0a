// Byte layouts of quantised blocks. Members are byte arrays, so that a block may lie at any
// address; multi-byte fields are little-endian.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ds4 {

struct BlockQ8_0 { // 32 values: d * q
    uint8_t d[2];  // f16
    int8_t q[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

struct BlockQ2K {       // 256 values: d * (scales & 15) * q - dmin * (scales >> 4)
    uint8_t scales[16]; // one per 16 values
    uint8_t
        q[64];    // value i: bits 2s, 2s+1 of q[32h + c]; h = i / 128, s = i % 128 / 32, c = i % 32
    uint8_t d[2]; // f16
    uint8_t dmin[2]; // f16
};
static_assert(sizeof(BlockQ2K) == 84);

struct BlockQ4K {       // 256 values: d * scale * q - dmin * min, scale and min per 32 values
    uint8_t d[2];       // f16
    uint8_t dmin[2];    // f16
    uint8_t scales[12]; // eight 6-bit scales and eight 6-bit mins, see q4k_scale
    uint8_t q[128];     // sub-block j: low (j even) or high nibbles of q[32 (j / 2) ...]
};
static_assert(sizeof(BlockQ4K) == 144);

struct BlockIq2Xxs {      // 256 values: d * (0.5 + t) / 4 * sign * grid
    uint8_t d[2];         // f16
    uint8_t groups[8][8]; // per 32 values: four grid indices, then u32 with 4 x 7 sign bits and t
                          // in bits 28..31
};
static_assert(sizeof(BlockIq2Xxs) == 66);

struct BlockMxfp4 { // 32 values: e2m1 * 2^(e - 127)
    uint8_t e;
    uint8_t q[16]; // value j in the low nibble of q[j], value j + 16 in the high one
};
static_assert(sizeof(BlockMxfp4) == 17);

inline uint16_t load_u16(const uint8_t *bytes) {
    uint16_t value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}
inline uint32_t load_u32(const uint8_t *bytes) {
    uint32_t value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}
inline float load_f32(const uint8_t *bytes) {
    float value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

// The 6-bit scale and min of Q4_K's sub-block j = 0..7.
struct Q4KScale {
    uint8_t scale, min;
};
inline Q4KScale q4k_scale(const uint8_t *s, int j) {
    if (j < 4) return {uint8_t(s[j] & 63), uint8_t(s[j + 4] & 63)};
    return {uint8_t((s[j + 4] & 15) | ((s[j - 4] >> 6) << 4)),
            uint8_t((s[j + 4] >> 4) | ((s[j] >> 6) << 4))};
}

} // namespace ds4
