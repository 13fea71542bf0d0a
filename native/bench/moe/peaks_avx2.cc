#include <immintrin.h>

#include "moe/peaks.h"

namespace ds4::bench {
namespace {

bool supported() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

// Four products of bytes summed in 16 bits, which is as many as cannot overflow, then widened: three maddubs and
// additions to one madd. Sums of 6 rows at once, as many as registers hold.
double maddubs(uint64_t rounds) {
    constexpr int kRows = 6;
    __m256i sums[kRows] = {};
    __m256i codes = _mm256_set1_epi8(3), values = _mm256_set1_epi8(5);
    const __m256i ones = _mm256_set1_epi16(1);
    for (uint64_t round = 0; round < rounds; round++)
#pragma GCC unroll 6
        for (int row = 0; row < kRows; row++) {
            __asm__ volatile("" : "+x"(codes), "+x"(values)); // the compiler must not see that all products are equal
            __m256i words = _mm256_maddubs_epi16(codes, values);
#pragma GCC unroll 3
            for (int i = 0; i < 3; i++) {
                __asm__ volatile("" : "+x"(codes));
                words = _mm256_add_epi16(words, _mm256_maddubs_epi16(codes, values));
            }
            sums[row] = _mm256_add_epi32(sums[row], _mm256_madd_epi16(words, ones));
        }
    for (int row = 0; row < kRows; row++) __asm__ volatile("" : : "x"(sums[row]));
    return double(rounds) * kRows * 4 * 32 * 2;
}

double fma(uint64_t rounds) {
    constexpr int kSums = 12;
    __m256 sums[kSums];
    for (int i = 0; i < kSums; i++) sums[i] = _mm256_setzero_ps();
    __m256 left = _mm256_set1_ps(1.5f), right = _mm256_set1_ps(0.5f);
    for (uint64_t round = 0; round < rounds; round++) {
        __asm__ volatile("" : "+x"(left), "+x"(right));
#pragma GCC unroll 12
        for (int i = 0; i < kSums; i++) sums[i] = _mm256_fmadd_ps(left, right, sums[i]);
    }
    for (int i = 0; i < kSums; i++) __asm__ volatile("" : : "x"(sums[i]));
    return double(rounds) * kSums * 8 * 2;
}

} // namespace

const PeakLoop kMaddubs = {"maddubs", supported, maddubs};
const PeakLoop kFma = {"fma-f32", supported, fma};

} // namespace ds4::bench
