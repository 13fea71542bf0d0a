#include "kernels/fp8_reference.h"

#include <algorithm>
#include <cmath>

#include "kernels/scalar.h"

namespace ds4::ktb {
namespace {

// Nearest E4M3 value of |value| <= 448, ties to even; NaN stays.
float rounded_e4m3(float value) {
    if (!(std::fabs(value) > 0)) return value;
    const int exponent = std::max(std::ilogb(value), -6); // below 2^-6 the format is subnormal
    const float quantum = std::ldexp(1.0f, exponent - 3);
    return std::nearbyint(value / quantum) * quantum;
}

} // namespace

void round_to_bf16(float *x, int count) {
    for (int i = 0; i < count; i++) x[i] = f32_from_bf16(bf16_from_f32(x[i]));
}

void round_through_fp8(float *x, int count) {
    round_to_bf16(x, count);
    for (int begin = 0; begin < count; begin += kFp8Block) {
        float amax = 1e-4f;
        bool finite = true;
        for (int i = begin; i < begin + kFp8Block; i++) {
            finite = finite && std::isfinite(x[i]);
            if (std::fabs(x[i]) > amax) amax = std::fabs(x[i]);
        }
        if (!finite) continue; // NaN and infinity pass as they are
        int exponent = 0;
        if (std::frexp(amax / 448.0f, &exponent) == 0.5f) exponent--;
        const float scale = std::ldexp(1.0f, exponent);
        for (int i = begin; i < begin + kFp8Block; i++) x[i] = rounded_e4m3(x[i] / scale) * scale;
    }
}

} // namespace ds4::ktb
