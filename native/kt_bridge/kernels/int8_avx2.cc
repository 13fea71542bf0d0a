// int8 activations with AVX2: one digit.
#include <cstddef>

#include "kernels/digit_sweeps.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

using Sweeps = DigitSweeps<1>;
static_assert(sizeof(Sweeps::Group) == sizeof(Int8Group) && offsetof(Int8Group, scale) == offsetof(Sweeps::Group, scale) && offsetof(Int8Group, correction) == offsetof(Sweeps::Group, correction));

void prepare(const float *x, int groups, uint8_t *out) {
    for (int g = 0; g < groups; g++, x += kGroup) {
        Int8Group &group = reinterpret_cast<Int8Group *>(out)[g];
        const __m256 part[4] = {_mm256_loadu_ps(x), _mm256_loadu_ps(x + 8), _mm256_loadu_ps(x + 16), _mm256_loadu_ps(x + 24)};
        const uint32_t largest = largest_bits(part);
        const float amax = __builtin_bit_cast(float, largest);
        const bool finite = largest < 0x7f800000u, usable = finite && amax > 4e-37f; // 127 / amax stays finite
        const __m256 inverse = _mm256_set1_ps(usable ? 127.0f / amax : 0.0f);
        __m256i integers[4];
        for (int i = 0; i < 4; i++) integers[i] = usable ? _mm256_cvtps_epi32(_mm256_mul_ps(part[i], inverse)) : _mm256_setzero_si256();
        store_digits(integers, group.values);
        group.scale = finite ? (usable ? amax / 127.0f * 0.5f : 0.0f) : __builtin_nanf("");
        group.correction = -12 * sum_of(integers);
    }
}

} // namespace

const Kernels kAvx2Int8 = {"avx2", "int8", sizeof(Int8Group), prepare, Sweeps::panel, Sweeps::panel, Sweeps::down, swiglu_avx2, add_scaled_avx2, add_avx2};

} // namespace ds4::ktb
