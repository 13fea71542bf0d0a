// Eight weights of a dense type at a time, exact.
#pragma once
#include "backend/cpu/kernels/f32_rows.h"
#include "backend/cpu/kernels/ops_avx2.h"

namespace ds4::cpu {
namespace {

// Types that are loaded one vector at a time.
template <typename Dense> struct OneVectorAvx2 {
    static constexpr int kVectors = 1, kScaleBytes = 0;
    static inline void load_vectors(const DenseRow &row, int64_t i, __m256 *out) {
        out[0] = Dense::load(row, i);
    }
};

struct F32Avx2 : OneVectorAvx2<F32Avx2> {
    static constexpr int kBytes = 4;
    static inline __m256 load(const DenseRow &row, int64_t i) {
        return _mm256_castsi256_ps(
            _mm256_loadu_si256(reinterpret_cast<const __m256i *>(row.data + 4 * i)));
    }
    static inline float load_one(const DenseRow &row, int64_t i) {
        float value;
        __builtin_memcpy(&value, row.data + 4 * i, sizeof value);
        return value;
    }
};

struct F16Avx2 : OneVectorAvx2<F16Avx2> {
    static constexpr int kBytes = 2;
    static inline __m256 load(const DenseRow &row, int64_t i) {
        return _mm256_cvtph_ps(
            _mm_loadu_si128(reinterpret_cast<const __m128i *>(row.data + 2 * i)));
    }
    static inline float load_one(const DenseRow &row, int64_t i) {
        uint16_t half;
        __builtin_memcpy(&half, row.data + 2 * i, sizeof half);
        return _cvtsh_ss(half);
    }
};

struct Bf16Avx2 : OneVectorAvx2<Bf16Avx2> {
    static constexpr int kBytes = 2;
    static inline __m256 load(const DenseRow &row, int64_t i) {
        const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i *>(row.data + 2 * i));
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(words), 16));
    }
    static inline float load_one(const DenseRow &row, int64_t i) {
        uint16_t word;
        __builtin_memcpy(&word, row.data + 2 * i, sizeof word);
        return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(int32_t(uint32_t(word) << 16))));
    }
};

// The byte's exponent and mantissa as an f16 are the value times 2^-8; the scale takes the factor
// 2^8.
template <typename Scale> // uint8_t: E8M0; float
struct F8E4m3Avx2 {
    static constexpr int kBytes = 1, kVectors = 4, kScaleBytes = int(sizeof(Scale));
    static constexpr float kLargestScale = 0x1p119f; // times 2^8 is still finite

    static inline __m256i halves(const uint8_t *codes) {
        const __m256i words =
            _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(codes)));
        return _mm256_and_si256(_mm256_slli_epi16(words, 7), _mm256_set1_epi16(int16_t(0xbf80)));
    }
    static inline void load_vectors(const DenseRow &row, int64_t i, __m256 *out) {
        const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(row.data + i));
        const __m256i nan = _mm256_cmpeq_epi8(
            _mm256_or_si256(codes, _mm256_set1_epi8(int8_t(0x80))), _mm256_set1_epi8(-1));
        const float scale = scale_of<Scale>(row, i);
        if (__builtin_expect(
                _mm256_movemask_epi8(nan) != 0 || !(__builtin_fabsf(scale) <= kLargestScale), 0)) {
            for (int v = 0; v < kVectors; v++) out[v] = load(row, i + 8 * v);
            return;
        }
        const __m256 factor = _mm256_set1_ps(256.0f * scale);
        const __m256i first = halves(row.data + i), last = halves(row.data + i + 16);
        out[0] = _mm256_mul_ps(_mm256_cvtph_ps(_mm256_castsi256_si128(first)), factor);
        out[1] = _mm256_mul_ps(_mm256_cvtph_ps(_mm256_extracti128_si256(first, 1)), factor);
        out[2] = _mm256_mul_ps(_mm256_cvtph_ps(_mm256_castsi256_si128(last)), factor);
        out[3] = _mm256_mul_ps(_mm256_cvtph_ps(_mm256_extracti128_si256(last, 1)), factor);
    }

    // Handles NaN codes and any scale.
    static inline __m256 values(__m128i codes) {
        const __m128i words = _mm_cvtepi8_epi16(codes);
        const __m128i nan = _mm_cmpeq_epi16(_mm_or_si128(words, _mm_set1_epi16(int16_t(0xff80))),
                                            _mm_set1_epi16(-1));
        const __m128i shifted =
            _mm_and_si128(_mm_slli_epi16(words, 7), _mm_set1_epi16(int16_t(0xbf80)));
        const __m128i halves = _mm_or_si128(shifted, _mm_and_si128(nan, _mm_set1_epi16(0x7e00)));
        return _mm256_mul_ps(_mm256_cvtph_ps(halves), _mm256_set1_ps(256.0f));
    }
    static inline __m256 load(const DenseRow &row, int64_t i) {
        return _mm256_mul_ps(
            values(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(row.data + i))),
            _mm256_set1_ps(scale_of<Scale>(row, i)));
    }
    static inline float load_one(const DenseRow &row, int64_t i) {
        return _mm256_cvtss_f32(values(_mm_cvtsi32_si128(row.data[i]))) * scale_of<Scale>(row, i);
    }
};

} // namespace
} // namespace ds4::cpu
