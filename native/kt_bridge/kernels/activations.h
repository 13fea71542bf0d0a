// Order of activations in a prepared group, and the clamps of SwiGLU. Functions have internal
// linkage, because files compiled for different instruction sets include this.
#pragma once
#include <cstdint>

namespace ds4::ktb {

// Input of the group that position p of an Int8Group holds.
[[maybe_unused]] static inline int int8_source(int p) {
    constexpr int8_t kOrder[8] = {0, 2, 4, 6, 1, 3, 5, 7};
    return (p & ~7) + kOrder[p & 7];
}
// Input of the group that position p of a Bf16Group holds.
[[maybe_unused]] static inline int bf16_source(int p) {
    constexpr int8_t kOrder[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    return (p & ~7) + kOrder[p & 7];
}
// limit <= 0: no clamp. Comparisons with NaN are false, so that it stays.
[[maybe_unused]] static inline float clamped_gate(float gate, float limit) {
    return limit > 0 && gate > limit ? limit : gate;
}
[[maybe_unused]] static inline float clamped_up(float up, float limit) {
    if (!(limit > 0)) return up;
    return up > limit ? limit : up < -limit ? -limit : up;
}

} // namespace ds4::ktb
