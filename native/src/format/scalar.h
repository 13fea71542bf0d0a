// Scalar number formats of weights and cache rows: the one place where each is encoded and decoded.
// Every encoder rounds to nearest, ties to even.
//
// Functions have internal linkage and use no template of the standard library. Files that are
// compiled for different instruction sets include this header, and the linker must not share one
// file's copy of a function with another.
#pragma once
#include <cstdint>

namespace ds4 {

static constexpr float f32_from_bits(uint32_t bits) { return __builtin_bit_cast(float, bits); }
static constexpr uint32_t f32_bits(float value) { return __builtin_bit_cast(uint32_t, value); }
static inline float power_of_two(int exponent) { return __builtin_ldexpf(1.0f, exponent); }

// ---- F16: IEEE binary16, all values including subnormals, infinities and NaN ----

static inline float f16_to_f32(uint16_t half) {
    const uint32_t sign = uint32_t(half & 0x8000u) << 16;
    const uint32_t magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u)
        return f32_from_bits(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
    if (magnitude >= 0x0400u)
        return f32_from_bits(sign | ((magnitude << 13) + ((127u - 15u) << 23)));
    const float value = float(magnitude) * 0x1p-24f;
    return sign != 0 ? -value : value;
}

static inline uint16_t f32_to_f16(float value) {
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

// ---- BF16: the upper half of an f32 ----

static constexpr float bf16_to_f32(uint16_t value) { return f32_from_bits(uint32_t(value) << 16); }

// A NaN stays one, and becomes quiet.
static inline uint16_t f32_to_bf16(float value) {
    const uint32_t bits = f32_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16_t((bits >> 16) | 0x40u);
    return uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// ---- E8M0: 2^(e - 127); 0 is the subnormal 2^-127, 255 is NaN ----

constexpr uint8_t kE8m0Nan = 255;
static constexpr float e8m0_to_f32(uint8_t e) {
    if (e == kE8m0Nan) return __builtin_nanf("");
    return f32_from_bits(e == 0 ? 0x00400000u : uint32_t(e) << 23);
}
// The byte as the exponent of an f32, as vector kernels of packed experts compute it. 0 gives 0.
// 255, which loads refuse, gives infinity.
static constexpr float e8m0_as_exponent(uint8_t e) { return f32_from_bits(uint32_t(e) << 23); }
// value: a power of two from 2^-127 to 2^127.
static constexpr uint8_t f32_to_e8m0(float value) { return uint8_t(f32_bits(value) >> 23); }

// ---- E4M3 (E4M3FN): bias 7, largest 448, 0x7f and 0xff are NaN, no infinity ----

static constexpr bool e4m3_is_nan(uint8_t code) { return (code & 0x7f) == 0x7f; }
static constexpr float e4m3_to_f32(uint8_t code) {
    const uint32_t exponent = (code >> 3) & 15u, mantissa = code & 7u;
    float value = 0.0f;
    if (e4m3_is_nan(code))
        value = __builtin_nanf("");
    else if (exponent == 0)
        value = float(mantissa) * 0x1p-9f;
    else
        value = f32_from_bits(((exponent + 120u) << 23) | (mantissa << 20));
    return (code & 0x80) != 0 ? -value : value;
}

// Keeps subnormals and the sign of zero. Magnitudes above 448 become 448, and from 512 on NaN.
static inline uint8_t f32_to_e4m3(float value) {
    const uint8_t sign = __builtin_signbit(value) ? 0x80 : 0;
    const float magnitude = __builtin_fabsf(value);
    if (!(magnitude < 0x1p9f)) return uint8_t(sign | 0x7f);
    if (magnitude < 0x1p-6f) // multiples of 2^-9; 8 of them are the smallest normal code
        return uint8_t(sign | int(__builtin_nearbyintf(magnitude * 0x1p9f)));
    int exponent = 0;
    const float mantissa = __builtin_frexpf(magnitude, &exponent); // in [1/2, 1)
    int units = int(__builtin_nearbyintf(mantissa * 16.0f));       // 8..16
    if (units == 16) units = 8, exponent++;
    const int code = ((exponent - 1 + 7) << 3) + (units - 8);
    return uint8_t(sign | (code < 0x7e ? code : 0x7e));
}

// The smallest e with amax <= 448 * 2^e, where 448 = 7/8 * 2^9. amax > 0.
static inline int e4m3_scale_exponent(float amax) {
    int exponent = 0;
    const float mantissa = __builtin_frexpf(amax, &exponent); // in [1/2, 1)
    return exponent - 9 + (mantissa > 0.875f ? 1 : 0);
}

// ---- E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives ----

constexpr float kE2m1Values[16] = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                   -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};
// Twice the values, which are integers.
constexpr int8_t kE2m1Doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
static constexpr float e2m1_to_f32(uint32_t code) { return kE2m1Values[code & 15u]; }
static constexpr int e2m1_doubled(uint32_t code) { return kE2m1Doubled[code & 15u]; }

// Keeps the sign of zero; midpoints go to the even code. Magnitudes above 6 become 6.
static inline uint8_t f32_to_e2m1(float value) {
    const float magnitude = __builtin_fabsf(value);
    const int code = magnitude <= 0.25f   ? 0
                     : magnitude < 0.75f  ? 1
                     : magnitude <= 1.25f ? 2
                     : magnitude < 1.75f  ? 3
                     : magnitude <= 2.5f  ? 4
                     : magnitude < 3.5f   ? 5
                     : magnitude <= 5.0f  ? 6
                                          : 7;
    return uint8_t((__builtin_signbit(value) ? 8 : 0) | code);
}

// The smallest e with amax <= 6 * 2^e, where 6 = 3/4 * 2^3. amax > 0.
static inline int e2m1_scale_exponent(float amax) {
    int exponent = 0;
    const float mantissa = __builtin_frexpf(amax, &exponent); // in [1/2, 1)
    return exponent - 3 + (mantissa > 0.75f ? 1 : 0);
}

} // namespace ds4
