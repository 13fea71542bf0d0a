#include "backend/cpu/kernels/cache_rows.h"
#include "backend/cpu/kernels/intrinsics.h"

namespace ds4::cpu {
namespace {

struct Vectors {
    using Lanes = __m512;
    using Integers = __m512i;
    static constexpr int kWidth = 16;

    static Lanes zero() { return _mm512_setzero_ps(); }
    static Lanes all(float value) { return _mm512_set1_ps(value); }
    static Lanes load(const float *from) { return _mm512_loadu_ps(from); }
    static void store(float *to, Lanes value) { _mm512_storeu_ps(to, value); }
    static Lanes add(Lanes a, Lanes b) { return _mm512_add_ps(a, b); }
    static Lanes multiply(Lanes a, Lanes b) { return _mm512_mul_ps(a, b); }
    static Lanes not_negative(Lanes a) { return _mm512_max_ps(a, _mm512_setzero_ps()); }

    // Words of 16 rows at `offset`: a 4 x 4 transpose in each quarter, which holds every fourth
    // row.
    static void load_words(Integers *words, const uint8_t *const *row, int offset) {
        __m512i quarter[4];
        for (int i = 0; i < 4; i++) {
            const auto part = [&](int k) {
                return _mm_loadu_si128(reinterpret_cast<const __m128i *>(row[k * 4 + i] + offset));
            };
            quarter[i] = _mm512_castsi128_si512(part(0));
            quarter[i] = _mm512_inserti32x4(quarter[i], part(1), 1);
            quarter[i] = _mm512_inserti32x4(quarter[i], part(2), 2);
            quarter[i] = _mm512_inserti32x4(quarter[i], part(3), 3);
        }
        const __m512i a = _mm512_unpacklo_epi32(quarter[0], quarter[1]),
                      b = _mm512_unpacklo_epi32(quarter[2], quarter[3]),
                      c = _mm512_unpackhi_epi32(quarter[0], quarter[1]),
                      d = _mm512_unpackhi_epi32(quarter[2], quarter[3]);
        words[0] = _mm512_unpacklo_epi64(a, b), words[1] = _mm512_unpackhi_epi64(a, b);
        words[2] = _mm512_unpacklo_epi64(c, d), words[3] = _mm512_unpackhi_epi64(c, d);
    }
    static Integers high_nibbles(Integers codes) { return _mm512_srli_epi16(codes, 4); }
    // Doubled E2M1 values of the low nibbles, plus 12.
    static Integers shifted_codes(Integers codes) {
        const __m512i table = _mm512_broadcast_i32x4(
            _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
        return _mm512_shuffle_epi8(table, _mm512_and_si512(codes, _mm512_set1_epi8(15)));
    }
    static Integers no_products() { return _mm512_setzero_si512(); }
    // Adds, in each lane, the products of its four unsigned bytes with the four of the query.
    static Integers add_products(Integers sum, Integers keys, const int8_t *query) {
        int32_t word;
        __builtin_memcpy(&word, query, 4);
        return _mm512_dpbusd_epi32(sum, keys, _mm512_set1_epi32(word));
    }
    static Lanes difference(Integers even, Integers odd, int32_t sum) {
        return _mm512_cvtepi32_ps(
            _mm512_sub_epi32(_mm512_add_epi32(even, odd), _mm512_set1_epi32(sum)));
    }

    // A code is an F16 with four exponent bits: shifted, it is 2^-8 of its value, subnormals too.
    static Lanes e4m3_values(const uint8_t *codes) {
        const __m256i wide =
            _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(codes)));
        const __m256i magnitude = _mm256_and_si256(wide, _mm256_set1_epi16(0x7f));
        const __m256i half = _mm256_or_si256(
            _mm256_slli_epi16(_mm256_andnot_si256(_mm256_set1_epi16(0x7f), wide), 8),
            _mm256_slli_epi16(magnitude, 7));
        const __m512 values = _mm512_mul_ps(_mm512_cvtph_ps(half), _mm512_set1_ps(256.0f));
        const __mmask16 nan = _mm256_cmpeq_epi16_mask(magnitude, _mm256_set1_epi16(0x7f));
        return _mm512_mask_mov_ps(values, nan, _mm512_set1_ps(__builtin_nanf("")));
    }
    static Lanes bf16_values(const uint8_t *from) {
        const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
    }
};

} // namespace

const CacheKernels kCacheKernelsAvx512 = {score_index_rows<Vectors>, decode_kv_row<Vectors>};

} // namespace ds4::cpu
