// Rounding of activations to int8; the same bits as the plain form in kernels_generic.cc.
#include "backend/cpu/kernels/operands.h"
#include "backend/cpu/kernels/ops_avx2.h"
#include "backend/cpu/kernels/row_kernels_avx2.h"

namespace ds4::cpu {
namespace {

struct Block {
    __m256 values[4]; // 32 floats
};

inline Block load_block(const float *values) {
    return {{_mm256_loadu_ps(values), _mm256_loadu_ps(values + 8), _mm256_loadu_ps(values + 16),
             _mm256_loadu_ps(values + 24)}};
}

inline Block load_part(const float *values, int64_t count) {
    float copy[32] = {};
    for (int64_t i = 0; i < count; i++) copy[i] = values[i];
    return load_block(copy);
}

// The largest magnitude as a bit pattern: NaN and infinity are above every number.
inline uint32_t largest_bits(const Block &block) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    const auto bits = [&](int i) {
        return _mm256_and_si256(_mm256_castps_si256(block.values[i]), magnitude);
    };
    const __m256i eight =
        _mm256_max_epu32(_mm256_max_epu32(bits(0), bits(1)), _mm256_max_epu32(bits(2), bits(3)));
    __m128i four = _mm_max_epu32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4e));
    return uint32_t(_mm_cvtsi128_si32(_mm_max_epu32(four, _mm_shuffle_epi32(four, 0xb1))));
}

inline float as_float(uint32_t bits) {
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(int32_t(bits))));
}

// Sixteen values times `inverse`, rounded to nearest even.
inline __m128i round16(__m256 low, __m256 high, __m256 inverse) {
    const __m256i first = _mm256_cvtps_epi32(_mm256_mul_ps(low, inverse));
    const __m256i second = _mm256_cvtps_epi32(_mm256_mul_ps(high, inverse));
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(first, second), 0xd8);
    return _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

inline float quantise_block(const Block &block, int8_t *low, int8_t *high) {
    constexpr uint32_t kInfinity = 0x7f800000u, kSmallest = (127u - 120u) << 23;
    const uint32_t largest = largest_bits(block);
    __m128i codes[2] = {_mm_setzero_si128(), _mm_setzero_si128()};
    float scale = 0.0f;
    if (largest >= kInfinity) {
        scale = as_float(0x7fc00000u);
    } else if (largest >= kSmallest) {
        scale = as_float(largest) / 127.0f;
        const __m256 inverse = _mm256_set1_ps(127.0f / as_float(largest));
        codes[0] = round16(block.values[0], block.values[1], inverse);
        codes[1] = round16(block.values[2], block.values[3], inverse);
    }
    _mm_storeu_si128(reinterpret_cast<__m128i *>(low), codes[0]);
    _mm_storeu_si128(reinterpret_cast<__m128i *>(high), codes[1]);
    return scale;
}

// -128 * (sum of four of the first halves and four of the second), per lane, and the sums of four
// such lanes plus kFloatBias.
inline void store_sums(const int8_t *quants, int32_t *sums, int32_t *starts) {
    __m256i halves[2];
    for (int part = 0; part < 64; part += 32) {
        const auto load = [&](int offset) {
            return _mm256_load_si256(reinterpret_cast<const __m256i *>(quants + part + offset));
        };
        const __m256i ones = _mm256_set1_epi8(1);
        const __m256i words = _mm256_add_epi16(_mm256_maddubs_epi16(ones, load(0)),
                                               _mm256_maddubs_epi16(ones, load(64)));
        const __m256i lanes = _mm256_madd_epi16(words, _mm256_set1_epi16(-128));
        _mm256_store_si256(reinterpret_cast<__m256i *>(sums + part / 4), lanes);
        halves[part / 32] = lanes;
    }
    __m256i pairs = _mm256_hadd_epi32(halves[0], halves[1]); // blocks 0 0 2 2, then 1 1 3 3
    pairs = _mm256_hadd_epi32(pairs, pairs);                 // blocks 0 2 0 2, then 1 3 1 3
    const __m128i blocks =
        _mm_unpacklo_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    _mm_store_si128(reinterpret_cast<__m128i *>(starts),
                    _mm_add_epi32(blocks, _mm_set1_epi32(kFloatBias)));
}

} // namespace

void quantise_avx2(const float *values, int64_t cols, ActivationGroup *out) {
    const int64_t groups = (cols + kGroupChannels - 1) / kGroupChannels;
    for (int64_t group = 0; group < groups; group++) {
        int8_t *place = out[group].quants;
        for (int64_t block = 0; block < kGroupBlocks; block++) {
            const int64_t begin = group * kGroupChannels + block * 32, left = cols - begin;
            const Block loaded = left >= 32 ? load_block(values + begin)
                                            : load_part(values + begin, left > 0 ? left : 0);
            out[group].scales[block] =
                quantise_block(loaded, place + 16 * block, place + 64 + 16 * block);
        }
        store_sums(place, out[group].sums, out[group].starts);
    }
}

} // namespace ds4::cpu
