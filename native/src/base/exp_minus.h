// exp(-d) for d >= 0, by float operations that every device rounds alike: fused where written so,
// and no library call. The relative error is below 3e-7. 0 from kExpReach on and for a NaN.
//
//   -d log2(e) = n + f with f in [-1/2, 1/2];  2^f by a polynomial of degree 6, times 2^n.
//
// All functions have internal linkage, since files of several instruction sets include them.
#pragma once
#include <cstdint>

namespace ds4 {

constexpr float kExpReach = 28.0f;
constexpr float kLog2E = 1.44269502162933349609375f;     // rounded down to f32
constexpr float kLog2ERest = 1.92596299112661746887e-8f; // what the rounding left
constexpr float kRounder = 12582912.0f;                  // 1.5 * 2^23: adding it rounds to integers
constexpr float kExp2[7] = {1.0f,
                            6.931471806e-1f,
                            2.402265070e-1f,
                            5.550410866e-2f,
                            9.618129108e-3f,
                            1.333355815e-3f,
                            1.540353039e-4f};

static inline float exp_minus(float d) {
    if (!(d < kExpReach)) return 0.0f;
    const float n = __builtin_fmaf(-d, kLog2E, kRounder) - kRounder;
    const float f = __builtin_fmaf(-d, kLog2ERest, __builtin_fmaf(-d, kLog2E, -n));
    float p = kExp2[6];
    for (int i = 5; i >= 0; i--) p = __builtin_fmaf(p, f, kExp2[i]);
    // 2^n by its exponent bits: n >= -41, so it is a normal number.
    return p * __builtin_bit_cast(float, uint32_t(int32_t(n) + 127) << 23);
}

// The same, but that a NaN stays one.
static inline float exp_minus_or_nan(float d) { return d != d ? d : exp_minus(d); }

} // namespace ds4
