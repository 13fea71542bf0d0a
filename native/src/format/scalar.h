// Scalar number formats of weights and their exact values as f32. Every encoder rounds to nearest,
// ties to even.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace ds4 {

constexpr float f32_from_bits(uint32_t bits) { return std::bit_cast<float>(bits); }
constexpr uint32_t f32_bits(float value) { return std::bit_cast<uint32_t>(value); }

// IEEE binary16, all values including subnormals, infinities and NaN.
inline float f16_to_f32(uint16_t half) {
    const uint32_t sign = uint32_t(half & 0x8000u) << 16;
    const uint32_t magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u)
        return f32_from_bits(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
    if (magnitude >= 0x0400u)
        return f32_from_bits(sign | ((magnitude << 13) + ((127u - 15u) << 23)));
    const float value = float(magnitude) * 0x1p-24f;
    return sign != 0 ? -value : value;
}

inline uint16_t f32_to_f16(float value) {
    const uint32_t bits = f32_bits(value);
    const uint16_t sign = uint16_t((bits >> 16) & 0x8000u);
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return uint16_t(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    if (magnitude >= 0x477ff000u) return uint16_t(sign | 0x7c00u); // 65520 and up round to infinity
    if (magnitude < 0x38800000u) {
        // Below 2^-14: adding 0.5 leaves the multiple of 2^-24 in the low bits, rounded by the
        // addition itself.
        return uint16_t(sign | (f32_bits(f32_from_bits(magnitude) + 0.5f) - f32_bits(0.5f)));
    }
    const uint32_t even = (magnitude >> 13) & 1u;
    return uint16_t(sign | ((magnitude - ((127u - 15u) << 23) + 0xfffu + even) >> 13));
}

constexpr float bf16_to_f32(uint16_t value) { return f32_from_bits(uint32_t(value) << 16); }

inline uint16_t f32_to_bf16(float value) {
    const uint32_t bits = f32_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return uint16_t((bits >> 16) | 0x40u); // a NaN stays one
    return uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// E8M0: 2^(e - 127); 0 is the subnormal 2^-127, 255 is NaN.
constexpr uint8_t kE8m0Nan = 255;
constexpr float e8m0_to_f32(uint8_t e) {
    if (e == kE8m0Nan) return std::numeric_limits<float>::quiet_NaN();
    return f32_from_bits(e == 0 ? 0x00400000u : uint32_t(e) << 23);
}

// E4M3FN: bias 7, largest 448, 0x7f and 0xff are NaN, no infinity.
constexpr bool e4m3_is_nan(uint8_t code) { return (code & 0x7f) == 0x7f; }
constexpr float e4m3_to_f32(uint8_t code) {
    const uint32_t exponent = (code >> 3) & 15u, mantissa = code & 7u;
    float value = 0.0f;
    if (e4m3_is_nan(code))
        value = std::numeric_limits<float>::quiet_NaN();
    else if (exponent == 0)
        value = float(mantissa) * 0x1p-9f;
    else
        value = f32_from_bits(((exponent + 120u) << 23) | (mantissa << 20));
    return (code & 0x80) != 0 ? -value : value;
}

// E2M1 codes times two, which are integers: 8..15 are the negatives (8 is -0, here 0).
inline constexpr int8_t kE2m1Doubled[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                            0, -1, -2, -3, -4, -6, -8, -12};
constexpr float e2m1_to_f32(uint8_t code) {
    return (code & 15) == 8 ? -0.0f : 0.5f * float(kE2m1Doubled[code & 15]);
}

} // namespace ds4
