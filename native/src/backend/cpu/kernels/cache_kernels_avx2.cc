#include "backend/cpu/kernels/cache_rows.h"
#include "backend/cpu/kernels/intrinsics.h"

namespace ds4::cpu {
namespace {

struct Vectors {
    using Lanes = __m256;
    using Integers = __m256i;
    static constexpr int kWidth = 8;

    static Lanes zero() { return _mm256_setzero_ps(); }
    static Lanes all(float value) { return _mm256_set1_ps(value); }
    static Lanes load(const float *from) { return _mm256_loadu_ps(from); }
    static void store(float *to, Lanes value) { _mm256_storeu_ps(to, value); }
    static Lanes add(Lanes a, Lanes b) { return _mm256_add_ps(a, b); }
    static Lanes multiply(Lanes a, Lanes b) { return _mm256_mul_ps(a, b); }
    static Lanes not_negative(Lanes a) { return _mm256_max_ps(a, _mm256_setzero_ps()); }

    // Words of 8 rows at `offset`: a 4 x 4 transpose in each half, which holds every fourth row.
    static void load_words(Integers *words, const uint8_t *const *row, int offset) {
        __m256i half[4];
        for (int i = 0; i < 4; i++)
            half[i] = _mm256_loadu2_m128i(reinterpret_cast<const __m128i *>(row[4 + i] + offset),
                                          reinterpret_cast<const __m128i *>(row[i] + offset));
        const __m256i a = _mm256_unpacklo_epi32(half[0], half[1]),
                      b = _mm256_unpacklo_epi32(half[2], half[3]),
                      c = _mm256_unpackhi_epi32(half[0], half[1]),
                      d = _mm256_unpackhi_epi32(half[2], half[3]);
        words[0] = _mm256_unpacklo_epi64(a, b), words[1] = _mm256_unpackhi_epi64(a, b);
        words[2] = _mm256_unpacklo_epi64(c, d), words[3] = _mm256_unpackhi_epi64(c, d);
    }
    static Integers high_nibbles(Integers codes) { return _mm256_srli_epi16(codes, 4); }
    // Doubled E2M1 values of the low nibbles, plus 12.
    static Integers shifted_codes(Integers codes) {
        const __m256i table = _mm256_broadcastsi128_si256(
            _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
        return _mm256_shuffle_epi8(table, _mm256_and_si256(codes, _mm256_set1_epi8(15)));
    }
    static Integers no_products() { return _mm256_setzero_si256(); }
    // Adds, in 16-bit lanes, products of unsigned bytes with those of the query. A group adds four
    // pairs of at most 24 * 12 each, which 16 bits hold.
    static Integers add_products(Integers sum, Integers keys, const int8_t *query) {
        int32_t word;
        __builtin_memcpy(&word, query, 4);
        return _mm256_add_epi16(sum, _mm256_maddubs_epi16(keys, _mm256_set1_epi32(word)));
    }
    static Lanes difference(Integers even, Integers odd, int32_t sum) {
        const __m256i both = _mm256_madd_epi16(_mm256_add_epi16(even, odd), _mm256_set1_epi16(1));
        return _mm256_cvtepi32_ps(_mm256_sub_epi32(both, _mm256_set1_epi32(sum)));
    }

    // A code is an F16 with four exponent bits: shifted, it is 2^-8 of its value, subnormals too.
    static Lanes e4m3_values(const uint8_t *codes) {
        const __m128i wide =
            _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(codes)));
        const __m128i magnitude = _mm_and_si128(wide, _mm_set1_epi16(0x7f));
        const __m128i half =
            _mm_or_si128(_mm_slli_epi16(_mm_andnot_si128(_mm_set1_epi16(0x7f), wide), 8),
                         _mm_slli_epi16(magnitude, 7));
        const __m256 values = _mm256_mul_ps(_mm256_cvtph_ps(half), _mm256_set1_ps(256.0f));
        const __m256i nan = _mm256_cvtepi16_epi32(_mm_cmpeq_epi16(magnitude, _mm_set1_epi16(0x7f)));
        return _mm256_blendv_ps(values, _mm256_set1_ps(__builtin_nanf("")),
                                _mm256_castsi256_ps(nan));
    }
    static Lanes bf16_values(const uint8_t *from) {
        const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from));
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
    }
};

} // namespace

const CacheKernels kCacheKernelsAvx2 = {score_index_rows<Vectors>, decode_kv_row<Vectors>};

} // namespace ds4::cpu
