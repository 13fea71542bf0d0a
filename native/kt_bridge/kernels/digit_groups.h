// Activations as integers of a few signed bytes, and how AVX2 makes them. The namespace has no
// name, because each file that includes this is compiled for its own CPU.
#pragma once
#include <immintrin.h>

#include "kernels/kernels.h"

namespace ds4::ktb {
namespace {

template <int kDigits> struct DigitGroup {
    int8_t values[kDigits][kGroup]; // in the order of an Int8Group, lowest digit first
    float scale;
    int32_t correction; // -12 * sum of the integers
};

inline int32_t sum_of(const __m256i (&integers)[4]) {
    const __m256i sums = _mm256_add_epi32(_mm256_add_epi32(integers[0], integers[1]),
                                          _mm256_add_epi32(integers[2], integers[3]));
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
}
// The largest magnitude, compared by bits: NaN is above infinity.
inline uint32_t largest_bits(const __m256 (&x)[4]) {
    __m256i largest = _mm256_setzero_si256();
    for (const __m256 &part : x)
        largest = _mm256_max_epu32(
            largest, _mm256_and_si256(_mm256_castps_si256(part), _mm256_set1_epi32(0x7fffffff)));
    __m128i top =
        _mm_max_epu32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
    top = _mm_max_epu32(top, _mm_shuffle_epi32(top, 0x4e));
    return uint32_t(_mm_cvtsi128_si32(_mm_max_epu32(top, _mm_shuffle_epi32(top, 0xb1))));
}
// Stores 32 integers that fit in bytes, in the order of a group.
inline void store_digits(const __m256i (&integers)[4], int8_t *out) {
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15));
    // Packing interleaves the halves of the registers, and the dword permute restores the order.
    __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(integers[0], integers[1]),
                                       _mm256_packs_epi32(integers[2], integers[3]));
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(out), _mm256_shuffle_epi8(bytes, order));
}

} // namespace
} // namespace ds4::ktb
