// Decoders of block types into Avx2::Codes. They read exactly the bytes of a group, never one past
// it.
#pragma once
#include "backend/cpu/kernels/groups.h"
#include "backend/cpu/kernels/ops_avx2.h"
#include "format/iq2xxs.h"

namespace ds4::cpu {
namespace {

struct PlainCodesAvx2 {
    using Codes = Avx2::Codes;
    static constexpr bool kSeparateScales = false;
    static constexpr int kStepGroups = 1;
    static constexpr float kResultFactor = 1.0f;
};

inline uint32_t word_at(const uint8_t *from) {
    uint32_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}
inline int16_t word16_at(const uint8_t *from) {
    int16_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}
inline float half_at(const uint8_t *from) { return _cvtsh_ss(uint16_t(word16_at(from))); }
inline __m128i load16(const uint8_t *from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i *>(from));
}
inline __m256i load32(const uint8_t *from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
}
inline __m256i join(__m128i low, __m128i high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

struct Q8_0Avx2 : PlainCodesAvx2 {
    static constexpr int kBlockBytes = 34, kGroupBytes = 136;

    static inline Codes load(const BlockRow &row, int64_t group) {
        const uint8_t *p = row.data + group * 136;
        const __m128i halves = _mm_setr_epi16(word16_at(p), word16_at(p + 34), word16_at(p + 68),
                                              word16_at(p + 102), 0, 0, 0, 0);
        const __m128 scales = _mm_cvtph_ps(halves);
        return {{join(load16(p + 2), load16(p + 36)), join(load16(p + 70), load16(p + 104))},
                {join(load16(p + 18), load16(p + 52)), join(load16(p + 86), load16(p + 120))},
                {Avx2::spread(scales, 0), Avx2::spread(scales, 1)}};
    }
};

// E2M1 codes in the low nibbles (the rest 0) as twice the value + 16.
inline __m256i e2m1_codes(__m256i nibbles) {
    const __m128i table =
        _mm_setr_epi8(16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), nibbles);
}
inline __m256i low_nibbles(__m256i bytes) { return _mm256_and_si256(bytes, _mm256_set1_epi8(15)); }
inline __m256i high_nibbles(__m256i bytes) { return low_nibbles(_mm256_srli_epi16(bytes, 4)); }
// Four E8M0 bytes to f32.
inline __m128 e8m0_scales(uint32_t four) {
    const __m128i bits = _mm_slli_epi32(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(int32_t(four))), 23);
    return _mm_castsi128_ps(_mm_max_epu32(bits, _mm_set1_epi32(0x00400000)));
}

struct Mxfp4Avx2 : PlainCodesAvx2 {
    using Codes = Avx2::OffsetCodes;
    static constexpr int kBlockBytes = 17, kGroupBytes = 68;
    static constexpr float kResultFactor = 0.5f; // codes are doubled values

    static inline Codes load(const BlockRow &row, int64_t group) {
        const uint8_t *p = row.data + group * 68;
        const __m256i first = join(load16(p + 1), load16(p + 18)),
                      last = join(load16(p + 35), load16(p + 52));
        return {{{e2m1_codes(low_nibbles(first)), e2m1_codes(low_nibbles(last))},
                 {e2m1_codes(high_nibbles(first)), e2m1_codes(high_nibbles(last))},
                 {scales(p), scales(p + 34)}}};
    }
    // The first bytes of two blocks to f32 in their lanes.
    static inline __m256 scales(const uint8_t *p) {
        const __m256i top_bytes = _mm256_set1_epi32(0x00ffffff); // byte 0, below it zeros
        const __m256i exponents = _mm256_shuffle_epi8(join(load16(p), load16(p + 17)), top_bytes);
        return _mm256_castsi256_ps(
            _mm256_max_epu32(_mm256_srli_epi32(exponents, 1), _mm256_set1_epi32(0x00400000)));
    }
};

struct Fp4PackedAvx2 : PlainCodesAvx2 {
    using Codes = Avx2::OffsetCodes;
    static constexpr int kBlockBytes = 16, kGroupBytes = 64;
    static constexpr bool kSeparateScales = true;
    static constexpr float kResultFactor = 0.5f;

    static inline Codes load(const BlockRow &row, int64_t group) {
        Avx2::Codes codes;
        const __m128 scales = e8m0_scales(word_at(row.scales + group * 4));
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            const __m256i bytes = load32(row.data + group * 64 + 32 * half);
            const __m256i even = e2m1_codes(low_nibbles(bytes)),
                          odd = e2m1_codes(high_nibbles(bytes));
            codes.low[half] = _mm256_unpacklo_epi8(even, odd);
            codes.high[half] = _mm256_unpackhi_epi8(even, odd);
            codes.scale[half] = Avx2::spread(scales, half);
        }
        return {codes};
    }
};

// Byte 2h of `four` as the words of the first block of half h, byte 2h + 1 of the second.
inline __m256i block_words(uint32_t four, int half) {
    return join(_mm_set1_epi16(int16_t((four >> (16 * half)) & 255u)),
                _mm_set1_epi16(int16_t((four >> (16 * half + 8)) & 255u)));
}

struct Q4KAvx2 : PlainCodesAvx2 {
    using Codes = Avx2::CodesWithMins;
    static constexpr int kBlockBytes = 0, kGroupBytes = 72;

    static inline Codes load(const BlockRow &row, int64_t group) {
        const uint8_t *p = row.data + group / 2 * 144;
        const uint32_t first = word_at(p + 4), second = word_at(p + 8), third = word_at(p + 12);
        const bool is_upper = group % 2 != 0;
        const uint32_t scales =
            is_upper ? (third & 0x0f0f0f0fu) | ((first >> 2) & 0x30303030u) : first & 0x3f3f3f3fu;
        const uint32_t mins = is_upper
                                  ? ((third >> 4) & 0x0f0f0f0fu) | ((second >> 2) & 0x30303030u)
                                  : second & 0x3f3f3f3fu;
        const __m128 four =
            _mm_mul_ps(_mm_set1_ps(half_at(p)),
                       _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(int32_t(scales)))));
        Codes out;
        out.min_scale = _mm256_set1_ps(half_at(p + 2));
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            const __m256i q = load32(p + 16 + group % 2 * 64 + 32 * half);
            const __m256i even = low_nibbles(q), odd = high_nibbles(q); // blocks 2h and 2h + 1
            out.codes.low[half] = _mm256_permute2x128_si256(even, odd, 0x20);
            out.codes.high[half] = _mm256_permute2x128_si256(even, odd, 0x31);
            out.codes.scale[half] = Avx2::spread(four, half);
            out.mins[half] = block_words(mins, half);
        }
        return out;
    }
};

struct Q2KAvx2 : PlainCodesAvx2 {
    using Codes = Avx2::CodesWithMins;
    static constexpr int kBlockBytes = 0, kGroupBytes = 42;

    // The code takes the 4-bit scale in and is at most 45, so that a 16-bit product is two byte
    // products.
    static inline __m256i codes(__m128i q, __m256i scales, int half) {
        const __m256i shifted = half == 0 ? join(q, _mm_srli_epi16(q, 2))
                                          : join(_mm_srli_epi16(q, 4), _mm_srli_epi16(q, 6));
        return _mm256_mullo_epi16(_mm256_and_si256(shifted, _mm256_set1_epi8(3)), scales);
    }
    // Words of the first block: byte `first` of every eight. Words of the second block: byte
    // `first` + 2. The second word of a pair lies `apart` bytes on.
    static inline __m256i words_of(__m256i bytes, int first, int apart) {
        const int32_t pair = int32_t(0x80008000u | uint32_t(first) | uint32_t(first + apart) << 16);
        return _mm256_shuffle_epi8(bytes,
                                   join(_mm_set1_epi32(pair), _mm_set1_epi32(pair + 0x00020002)));
    }

    [[gnu::always_inline]] static inline Codes load(const BlockRow &row, int64_t group) {
        const uint8_t *p = row.data + group / 2 * 84;
        const int64_t upper = group % 2;
        int64_t eight;
        __builtin_memcpy(&eight, p + 8 * upper, sizeof eight);
        const __m256i bytes = _mm256_set1_epi64x(eight), scales = low_nibbles(bytes),
                      mins = high_nibbles(bytes);
        const __m128i first = load16(p + 16 + 32 * upper), second = load16(p + 32 + 32 * upper);
        Codes out;
        out.min_scale = _mm256_set1_ps(half_at(p + 82));
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            out.codes.low[half] = codes(first, words_of(scales, 4 * half, 0), half);
            out.codes.high[half] = codes(second, words_of(scales, 4 * half + 1, 0), half);
            out.codes.scale[half] = _mm256_set1_ps(half_at(p + 80));
            out.mins[half] = words_of(mins, 4 * half, 1);
        }
        return out;
    }
};

struct Iq2XxsAvx2 : PlainCodesAvx2 {
    static constexpr int kBlockBytes = 0, kGroupBytes = 33;

    // Two sub-groups of eight within a group of 32: `first` and the one after it.
    static inline __m128i codes(const uint8_t *group, int first) {
        const uint32_t word = word_at(group + 4);
        const __m128i grid = _mm_set_epi64x(int64_t(kIq2XxsGrid.rows[group[first + 1]]),
                                            int64_t(kIq2XxsGrid.rows[group[first]]));
        const __m128i signs =
            _mm_set_epi64x(int64_t(kIq2XxsSigns.factors[(word >> (7 * first + 7)) & 127u]),
                           int64_t(kIq2XxsSigns.factors[(word >> (7 * first)) & 127u]));
        return _mm_sign_epi8(grid, signs);
    }

    [[gnu::always_inline]] static inline Codes load(const BlockRow &row, int64_t group) {
        const uint8_t *p = row.data + group / 2 * 66, *groups = p + 2 + group % 2 * 32;
        const __m128i words =
            _mm_setr_epi32(int32_t(word_at(groups + 4)), int32_t(word_at(groups + 12)),
                           int32_t(word_at(groups + 20)), int32_t(word_at(groups + 28)));
        const __m128 level =
            _mm_add_ps(_mm_cvtepi32_ps(_mm_srli_epi32(words, 28)), _mm_set1_ps(0.5f));
        const __m128 scales = _mm_mul_ps(_mm_set1_ps(half_at(p) * 0.25f), level);
        Codes out;
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            out.low[half] = join(codes(groups + 16 * half, 0), codes(groups + 16 * half + 8, 0));
            out.high[half] = join(codes(groups + 16 * half, 2), codes(groups + 16 * half + 8, 2));
            out.scale[half] = Avx2::spread(scales, half);
        }
        return out;
    }
};

} // namespace
} // namespace ds4::cpu
