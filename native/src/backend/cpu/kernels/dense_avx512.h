// Sixteen weights of a dense type at a time, exact.
#pragma once
#include "backend/cpu/kernels/f32_rows.h"
#include "backend/cpu/kernels/ops_avx512.h"
#include "format/e8m0.h"

namespace ds4::cpu {
namespace {

inline uint16_t word16_at(const uint8_t *from) {
    uint16_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}

struct F32Avx512 {
    static constexpr int kBytes = 4;
    static inline __m512 load(const DenseRow &row, int64_t i) { return _mm512_loadu_ps(row.data + 4 * i); }
    static inline float load_one(const DenseRow &row, int64_t i) {
        float value;
        __builtin_memcpy(&value, row.data + 4 * i, sizeof value);
        return value;
    }
};

struct F16Avx512 {
    static constexpr int kBytes = 2;
    static inline __m512 load(const DenseRow &row, int64_t i) {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(row.data + 2 * i)));
    }
    static inline float load_one(const DenseRow &row, int64_t i) { return _cvtsh_ss(word16_at(row.data + 2 * i)); }
};

struct Bf16Avx512 {
    static constexpr int kBytes = 2;
    static inline __m512 load(const DenseRow &row, int64_t i) {
        const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(row.data + 2 * i));
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(words), 16));
    }
    static inline float load_one(const DenseRow &row, int64_t i) {
        return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(int32_t(uint32_t(word16_at(row.data + 2 * i)) << 16))));
    }
};

// The byte's exponent and mantissa as an f16 are the value times 2^-8; NaN codes are put in by hand.
struct F8E4m3Avx512 {
    static constexpr int kBytes = 1;
    static inline __m512 values(__m128i codes) {
        const __m256i words = _mm256_cvtepi8_epi16(codes);
        const __mmask16 nan = _mm256_cmpeq_epi16_mask(_mm256_or_si256(words, _mm256_set1_epi16(int16_t(0xff80))),
                                                      _mm256_set1_epi16(-1));
        const __m256i shifted = _mm256_and_si256(_mm256_slli_epi16(words, 7), _mm256_set1_epi16(int16_t(0xbf80)));
        const __m256i halves = _mm256_mask_mov_epi16(shifted, nan, _mm256_set1_epi16(0x7e00));
        return _mm512_mul_ps(_mm512_cvtph_ps(halves), _mm512_set1_ps(256.0f));
    }
    static inline __m512 load(const DenseRow &row, int64_t i) {
        return _mm512_mul_ps(values(_mm_loadu_si128(reinterpret_cast<const __m128i *>(row.data + i))),
                             _mm512_set1_ps(kE8m0Values.of[row.scales[i / 128]]));
    }
    static inline float load_one(const DenseRow &row, int64_t i) {
        return _mm512_cvtss_f32(values(_mm_cvtsi32_si128(row.data[i]))) * kE8m0Values.of[row.scales[i / 128]];
    }
};

} // namespace
} // namespace ds4::cpu
