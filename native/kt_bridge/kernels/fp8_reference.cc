#include "kernels/fp8_reference.h"

#include <cmath>

#include "format/scalar.h"

namespace ds4::ktb {

void round_to_bf16(float *x, int count) {
    for (int i = 0; i < count; i++) x[i] = bf16_to_f32(f32_to_bf16(x[i]));
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
        const float scale = power_of_two(e4m3_scale_exponent(amax));
        for (int i = begin; i < begin + kFp8Block; i++)
            x[i] = e4m3_to_f32(f32_to_e4m3(x[i] / scale)) * scale;
    }
}

} // namespace ds4::ktb
