// Scalar conversions, all with internal linkage: files compiled for different instruction sets
// include this.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>

namespace ds4::ktb {

[[maybe_unused]] static inline uint16_t bf16_from_f32(float value) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16_t((bits >> 16) | 0x40u); // quiet
    return uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
[[maybe_unused]] static inline float f32_from_bf16(uint16_t value) {
    return __builtin_bit_cast(float, uint32_t(value) << 16);
}
[[maybe_unused]] static inline float f32_from_e8m0(uint8_t scale) {
    return __builtin_bit_cast(float, uint32_t(scale) << 23);
}
// 2 * E2M1 of a nibble, an integer
[[maybe_unused]] static inline int doubled_e2m1(uint32_t nibble) {
    constexpr int8_t kDoubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    return kDoubled[nibble & 15u];
}
// Input of the group that position p of an Int8Group holds, and the same for a Bf16Group.
[[maybe_unused]] static inline int int8_source(int p) {
    constexpr int8_t kOrder[8] = {0, 2, 4, 6, 1, 3, 5, 7};
    return (p & ~7) + kOrder[p & 7];
}
[[maybe_unused]] static inline int bf16_source(int p) {
    constexpr int8_t kOrder[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    return (p & ~7) + kOrder[p & 7];
}
[[maybe_unused]] static inline float clamped_gate(float gate, float limit) {
    return limit > 0 && gate > limit ? limit : gate; // comparisons are false for NaN, which stays
}
[[maybe_unused]] static inline float clamped_up(float up, float limit) {
    if (!(limit > 0)) return up;
    return up > limit ? limit : up < -limit ? -limit : up;
}

} // namespace ds4::ktb
