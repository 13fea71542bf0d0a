// bf16 activations with AVX2, which has no bf16 dot. The values of a group become integers of three
// digits, in units of 2^-19 of the largest value's power of two. That is exact for bf16 values down
// to 2^-12 of the largest, and for all that fp8ref makes. Smaller values lose at most half a unit,
// about what a sum in f32 rounds off. The dot of a group is exact, and rounded once. A group that
// is not finite gives NaN.
//
// FMAs on weights that are widened to f32 are slower for one token and no faster for four (Zen 4,
// from L1).
#include "kernels/digit_micro_kernels.h"
#include "format/scalar.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

using MicroKernels = DigitMicroKernels<3>;
using Group = MicroKernels::Group;

constexpr int kTopBit = 19; // of the largest integer; the top digit is 64 at most
// Biased exponent. Smaller groups keep the units of 2^-100, over which 2^kTopBit is finite.
constexpr int kLeastExponent = 27;
constexpr uint32_t kRoundsToInfinity = 0x7f7f8000u;

inline float power_of_two(int biased) { return __builtin_bit_cast(float, uint32_t(biased) << 23); }

inline __m256 rounded_to_bf16(__m256 x) {
    const __m256i bits = _mm256_castps_si256(x),
                  odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    return _mm256_castsi256_ps(_mm256_and_si256(up, _mm256_set1_epi32(int(0xffff0000u))));
}

void prepare(const float *x, int groups, uint8_t *out) {
    const __m256i half = _mm256_set1_epi32(64);
    for (int g = 0; g < groups; g++, x += kGroup) {
        Group &group = reinterpret_cast<Group *>(out)[g];
        const __m256 part[4] = {_mm256_loadu_ps(x), _mm256_loadu_ps(x + 8), _mm256_loadu_ps(x + 16),
                                _mm256_loadu_ps(x + 24)};
        const uint32_t largest = largest_bits(part);
        const bool finite = largest < kRoundsToInfinity;
        const int rounded = finite ? f32_to_bf16(__builtin_bit_cast(float, largest)) >> 7 : 0,
                  exponent = rounded < kLeastExponent ? kLeastExponent : rounded;
        const __m256 inverse = _mm256_set1_ps(power_of_two(127 + 127 + kTopBit - exponent));
        __m256i integers[4], digits[4];
        for (int i = 0; i < 4; i++)
            integers[i] = finite
                              ? _mm256_cvtps_epi32(_mm256_mul_ps(rounded_to_bf16(part[i]), inverse))
                              : _mm256_setzero_si256();
        group.correction = -12 * sum_of(integers);
        for (int d = 0; d < 2; d++) {
            for (int i = 0; i < 4; i++) { // digits are -64..63
                const __m256i above = _mm256_srai_epi32(_mm256_add_epi32(integers[i], half), 7);
                digits[i] = _mm256_sub_epi32(integers[i], _mm256_slli_epi32(above, 7));
                integers[i] = above;
            }
            store_digits(digits, group.values[d]);
        }
        store_digits(integers, group.values[2]);
        group.scale = finite ? power_of_two(exponent - kTopBit - 1) : __builtin_nanf("");
    }
}

} // namespace

const Kernels kAvx2Bf16 = {"avx2",
                           "bf16",
                           sizeof(Group),
                           prepare,
                           MicroKernels::panel,
                           MicroKernels::panel,
                           MicroKernels::down,
                           swiglu_avx2,
                           add_scaled_avx2,
                           add_avx2};

} // namespace ds4::ktb
