// Rotary embedding in kernels (docs/numerics.md#rope, model/rope.h).
#pragma once
#include "device/kernel.h"

namespace ds4::kernels {

using namespace device;

struct Turn {
    float cosine, sine;
};

// Cosine and sine of the f32 product position * frequency, rounded once from f64. The angle is
// reduced by pi / 2 in two parts, which is accurate for angles below 2^31. Then Taylor series,
// whose rest is below 5e-17 within pi / 4.
__device__ __forceinline__ Turn turn_of(int32_t position, float frequency) {
    const double angle = double(__fmul_rn(float(uint32_t(position)), frequency));
    const double quarters = nearbyint(angle * 0.63661977236758134308);
    double x = fma(-quarters, 1.5707963267948966192, angle);
    x = fma(-quarters, 6.1232339957367658861e-17, x);
    const double s = x * x;
    double sine = -1.0 / 1307674368000.0, cosine = 1.0 / 20922789888000.0;
    sine = fma(sine, s, 1.0 / 6227020800.0), cosine = fma(cosine, s, -1.0 / 87178291200.0);
    sine = fma(sine, s, -1.0 / 39916800.0), cosine = fma(cosine, s, 1.0 / 479001600.0);
    sine = fma(sine, s, 1.0 / 362880.0), cosine = fma(cosine, s, -1.0 / 3628800.0);
    sine = fma(sine, s, -1.0 / 5040.0), cosine = fma(cosine, s, 1.0 / 40320.0);
    sine = fma(sine, s, 1.0 / 120.0), cosine = fma(cosine, s, -1.0 / 720.0);
    sine = fma(sine, s, -1.0 / 6.0), cosine = fma(cosine, s, 1.0 / 24.0);
    sine = fma(sine * s, x, x), cosine = fma(cosine, s, -0.5);
    cosine = fma(cosine, s, 1.0);
    const int quadrant = int(int64_t(quarters) & 3);
    const double c = quadrant % 2 == 0 ? cosine : sine, d = quadrant % 2 == 0 ? sine : cosine;
    return {float(quadrant == 1 || quadrant == 2 ? -c : c), float(quadrant >= 2 ? -d : d)};
}

// Turns an adjacent pair of channels; the products are exact in f64. A negative sine turns back.
__device__ __forceinline__ float2 turn_pair(float2 pair, Turn turn) {
    const double c = turn.cosine, s = turn.sine, a = pair.x, b = pair.y;
    return make_float2(float(a * c - b * s), float(a * s + b * c));
}

} // namespace ds4::kernels
