// Decoders of block types into Avx512::Codes. A group of a row is read exactly, never a byte past it.
#pragma once
#include "backend/cpu/kernels/groups.h"
#include "backend/cpu/kernels/ops_avx512.h"
#include "format/iq2xxs.h"

namespace ds4::cpu {
namespace {

struct PlainCodesAvx512 {
    using Codes = Avx512::Codes;
    static constexpr bool kSeparateScales = false;
    static constexpr float kResultFactor = 1.0f;
};

inline __m512i load_blocks16(const uint8_t *first, int64_t stride) {
    const auto load = [&](int64_t i) { return _mm_loadu_si128(reinterpret_cast<const __m128i *>(first + i * stride)); };
    __m512i blocks = _mm512_castsi128_si512(load(0));
    blocks = _mm512_inserti32x4(blocks, load(1), 1);
    blocks = _mm512_inserti32x4(blocks, load(2), 2);
    return _mm512_inserti32x4(blocks, load(3), 3);
}

struct Q8_0Avx512 : PlainCodesAvx512 {
    static constexpr int kBlockBytes = 34, kGroupBytes = 136;

    // 136 bytes: four blocks of an f16 scale and 32 bytes.
    static inline Codes load(const BlockRow &row, int64_t group) {
        const uint8_t *p = row.data + group * 136;
        const auto load32 = [&](int offset) {
            return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p + offset));
        };
        const __m512i first = _mm512_inserti64x4(_mm512_castsi256_si512(load32(2)), load32(36), 1);
        const __m512i last = _mm512_inserti64x4(_mm512_castsi256_si512(load32(70)), load32(104), 1);
        const __m512i sign = _mm512_set1_epi8(char(0x80));
        // words 0 and 17 of bytes 0..63, words 2 and 19 of bytes 64..127, each four times
        const __m512i scale_words = _mm512_castsi256_si512(
            _mm256_setr_epi16(0, 0, 0, 0, 17, 17, 17, 17, 34, 34, 34, 34, 51, 51, 51, 51));
        const __m512i halves = _mm512_permutex2var_epi16(_mm512_loadu_si512(p), scale_words, _mm512_loadu_si512(p + 64));
        return {_mm512_xor_si512(_mm512_shuffle_i64x2(first, last, 0x88), sign),
                _mm512_xor_si512(_mm512_shuffle_i64x2(first, last, 0xdd), sign),
                _mm512_cvtph_ps(_mm512_castsi512_si256(halves))};
    }
};

// E2M1 codes of bytes (upper bits ignored) as twice the value + 128.
inline __m512i e2m1_codes(__m512i nibbles) {
    const __m512i table = _mm512_broadcast_i32x4(_mm_setr_epi8(
        char(128), char(129), char(130), char(131), char(132), char(134), char(136), char(140),
        char(128), char(127), char(126), char(125), char(124), char(122), char(120), char(116)));
    return _mm512_permutexvar_epi8(nibbles, table);
}
// One E8M0 byte in each 32-bit lane to f32.
inline __m512 e8m0_scales(__m512i exponents) {
    const __m512i bits = _mm512_slli_epi32(exponents, 23);
    return _mm512_castsi512_ps(_mm512_max_epu32(bits, _mm512_set1_epi32(0x00400000)));
}

struct Mxfp4Avx512 : PlainCodesAvx512 {
    static constexpr int kBlockBytes = 17, kGroupBytes = 68;
    static constexpr float kResultFactor = 0.5f; // codes are doubled values

    // 68 bytes: four blocks of a scale byte and 16 bytes of nibbles.
    static inline Codes load(const BlockRow &row, int64_t group) {
        const uint8_t *p = row.data + group * 68;
        const __m512i nibbles = load_blocks16(p + 1, 17);
        const __m512i scale_bytes = _mm512_setr_epi32(0, 0, 0, 0, 17, 17, 17, 17, 34, 34, 34, 34, 51, 51, 51, 51);
        const __m512i exponents = _mm512_maskz_permutexvar_epi8(0x1111111111111111ull, scale_bytes, _mm512_loadu_si512(p));
        return {e2m1_codes(nibbles), e2m1_codes(_mm512_srli_epi16(nibbles, 4)), e8m0_scales(exponents)};
    }
};

struct Fp4PackedAvx512 : PlainCodesAvx512 {
    static constexpr int kBlockBytes = 16, kGroupBytes = 64;
    static constexpr bool kSeparateScales = true;
    static constexpr float kResultFactor = 0.5f;

    // 64 bytes, value 2j in the low and 2j + 1 in the high nibble; four scale bytes elsewhere.
    static inline Codes load(const BlockRow &row, int64_t group) {
        const __m512i nibbles = _mm512_loadu_si512(row.data + group * 64);
        const __m512i even = e2m1_codes(nibbles), odd = e2m1_codes(_mm512_srli_epi16(nibbles, 4));
        int32_t four;
        __builtin_memcpy(&four, row.scales + group * 4, 4);
        const __m512i lane_byte = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
        const __m512i exponents = _mm512_maskz_permutexvar_epi8(0x1111111111111111ull, lane_byte, _mm512_set1_epi32(four));
        return {_mm512_unpacklo_epi8(even, odd), _mm512_unpackhi_epi8(even, odd), e8m0_scales(exponents)};
    }
};

struct Bytes16 {
    static inline __m512i everywhere(const uint8_t *from) {
        return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i *>(from)));
    }
};

inline uint32_t word_at(const uint8_t *from) {
    uint32_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}
inline __m512 half_everywhere(const uint8_t *from) {
    uint16_t half;
    __builtin_memcpy(&half, from, sizeof half);
    return _mm512_cvtph_ps(_mm256_set1_epi16(int16_t(half)));
}
// Byte b of `four` for all 16 bytes of block b, or as an integer in each of its lanes.
inline __m512i block_bytes(uint32_t four) {
    const __m512i index = _mm512_setr_epi32(0, 0, 0, 0, 0x01010101, 0x01010101, 0x01010101, 0x01010101, 0x02020202,
                                            0x02020202, 0x02020202, 0x02020202, 0x03030303, 0x03030303, 0x03030303,
                                            0x03030303);
    return _mm512_permutexvar_epi8(index, _mm512_set1_epi32(int32_t(four)));
}
inline __m512i block_integers(__m512i bytes) { return _mm512_and_si512(bytes, _mm512_set1_epi32(255)); }

struct Q4KAvx512 : PlainCodesAvx512 {
    using Codes = Avx512::CodesWithMins;
    static constexpr int kBlockBytes = 0, kGroupBytes = 72;

    static inline Codes load(const BlockRow &row, int64_t group) {
        const uint8_t *p = row.data + group / 2 * 144;
        const uint32_t first = word_at(p + 4), second = word_at(p + 8), third = word_at(p + 12);
        const bool is_upper = group % 2 != 0;
        const uint32_t scales = is_upper ? (third & 0x0f0f0f0fu) | ((first >> 2) & 0x30303030u) : first & 0x3f3f3f3fu;
        const uint32_t mins =
            is_upper ? ((third >> 4) & 0x0f0f0f0fu) | ((second >> 2) & 0x30303030u) : second & 0x3f3f3f3fu;
        const __m512i q = _mm512_loadu_si512(p + 16 + group % 2 * 64);
        const __m512i mask = _mm512_set1_epi8(15), sign = _mm512_set1_epi8(char(0x80));
        // 16-byte parts: even = blocks 0 0' 2 2', odd = blocks 1 1' 3 3'
        const __m512i even = _mm512_or_si512(_mm512_and_si512(q, mask), sign);
        const __m512i odd = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(q, 4), mask), sign);
        const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
        const __m512i high = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
        const __m512i min_bytes = block_bytes(mins);
        return {_mm512_permutex2var_epi64(even, low, odd), _mm512_permutex2var_epi64(even, high, odd),
                _mm512_mul_ps(half_everywhere(p), _mm512_cvtepi32_ps(block_integers(block_bytes(scales)))),
                min_bytes, min_bytes, half_everywhere(p + 2)};
    }
};

struct Q2KAvx512 : PlainCodesAvx512 {
    using Codes = Avx512::CodesWithMins;
    static constexpr int kBlockBytes = 0, kGroupBytes = 42;

    // The 4-bit scale goes into the code: at most 45, so that a 16-bit product is two byte products.
    static inline Codes load(const BlockRow &row, int64_t group) {
        const uint8_t *p = row.data + group / 2 * 84;
        const int64_t half = group % 2;
        int64_t eight;
        __builtin_memcpy(&eight, p + 8 * half, sizeof eight);
        const __m512i scale_bytes = _mm512_set1_epi64(eight), three = _mm512_set1_epi8(3), mask = _mm512_set1_epi8(15);
        const __m512i low_index = _mm512_setr_epi64(0, 0, 0x0202020202020202, 0x0202020202020202, 0x0404040404040404,
                                                    0x0404040404040404, 0x0606060606060606, 0x0606060606060606);
        const __m512i high_index = _mm512_add_epi8(low_index, _mm512_set1_epi8(1));
        const __m512i low_scales = _mm512_shuffle_epi8(scale_bytes, low_index);
        const __m512i high_scales = _mm512_shuffle_epi8(scale_bytes, high_index);
        const __m512i shifts = _mm512_setr_epi64(0, 0, 0x0002000200020002, 0x0002000200020002, 0x0004000400040004,
                                                 0x0004000400040004, 0x0006000600060006, 0x0006000600060006);
        const auto codes = [&](const uint8_t *from, __m512i scales) {
            const __m512i q = _mm512_and_si512(_mm512_srlv_epi16(Bytes16::everywhere(from), shifts), three);
            const __m512i words = _mm512_and_si512(scales, _mm512_set1_epi16(15));
            return _mm512_or_si512(_mm512_mullo_epi16(q, words), _mm512_set1_epi8(char(0x80)));
        };
        return {codes(p + 16 + 32 * half, low_scales), codes(p + 32 + 32 * half, high_scales), half_everywhere(p + 80),
                _mm512_and_si512(_mm512_srli_epi16(low_scales, 4), mask),
                _mm512_and_si512(_mm512_srli_epi16(high_scales, 4), mask), half_everywhere(p + 82)};
    }
};

struct Iq2XxsAvx512 : PlainCodesAvx512 {
    static constexpr int kBlockBytes = 0, kGroupBytes = 33;

    // The codebook rows of 16 indices (one in each 16-bit lane) as 2-bit levels: a lookup in 256 words held as four
    // pairs of vectors. (Gathering the expanded rows from memory took five times as long.)
    static inline __m512i levels_of(__m512i index) {
        const auto pair = [&](int i) {
            const uint16_t *words = kIq2XxsLevels.rows + 64 * i;
            return _mm512_permutex2var_epi16(_mm512_load_si512(words), index, _mm512_load_si512(words + 32));
        };
        const __mmask32 bit6 = _mm512_test_epi16_mask(index, _mm512_set1_epi16(64));
        const __mmask32 bit7 = _mm512_test_epi16_mask(index, _mm512_set1_epi16(128));
        return _mm512_mask_mov_epi16(_mm512_mask_mov_epi16(pair(0), bit6, pair(1)), bit7,
                                     _mm512_mask_mov_epi16(pair(2), bit6, pair(3)));
    }

    // Eight sub-groups of eight: levels to magnitudes, negative where the sign mask has a bit.
    static inline __m512i codes(__m128i levels, __m512i words, __m512i shifts) {
        const __m512i bit = _mm512_set1_epi64(0x0e0c0a0806040200);
        const __m512i magnitude = _mm512_set1_epi32(8 | 25 << 8 | 43 << 16); // by level, upper index bits ignored
        const __m512i spread = _mm512_multishift_epi64_epi8(bit, _mm512_cvtepu16_epi64(levels));
        const __m512i values = _mm512_permutexvar_epi8(spread, magnitude);
        const __m512i sign_index = _mm512_and_si512(_mm512_srlv_epi64(words, shifts), _mm512_set1_epi64(127));
        const __m512i masks = _mm512_permutex2var_epi8(_mm512_load_si512(kIq2XxsSigns.masks), sign_index,
                                                       _mm512_load_si512(kIq2XxsSigns.masks + 64));
        const __m512i first_byte = _mm512_set_epi64(0x0808080808080808, 0, 0x0808080808080808, 0, 0x0808080808080808, 0,
                                                    0x0808080808080808, 0);
        const __mmask64 negative = _mm512_test_epi8_mask(_mm512_shuffle_epi8(masks, first_byte),
                                                         _mm512_set1_epi64(int64_t(0x8040201008040201ull)));
        const __m512i sign = _mm512_set1_epi8(char(0x80));
        return _mm512_mask_sub_epi8(_mm512_xor_si512(values, sign), negative, sign, values);
    }

    static inline Codes load(const BlockRow &row, int64_t group) {
        const uint8_t *p = row.data + group / 2 * 66;
        const __m512i groups = _mm512_castsi256_si512(
            _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p + 2 + group % 2 * 32)));
        // indices 0 and 1 of the four 8-byte groups, then 2 and 3; a group's sign word is dword 2b + 1
        const __m512i index_bytes = _mm512_castsi256_si512(
            _mm256_setr_epi16(0, 1, 8, 9, 16, 17, 24, 25, 2, 3, 10, 11, 18, 19, 26, 27));
        const __m512i levels = levels_of(_mm512_maskz_permutexvar_epi8(0x55555555ull, index_bytes, groups));
        const __m512i word_lanes = _mm512_setr_epi32(1, 1, 1, 1, 3, 3, 3, 3, 5, 5, 5, 5, 7, 7, 7, 7);
        const __m512i words = _mm512_permutexvar_epi32(word_lanes, groups);
        const __m512i low_shift = _mm512_set_epi64(7, 0, 7, 0, 7, 0, 7, 0);
        const __m512i high_shift = _mm512_add_epi64(low_shift, _mm512_set1_epi64(14));
        const __m512 level = _mm512_add_ps(_mm512_cvtepi32_ps(_mm512_srli_epi32(words, 28)), _mm512_set1_ps(0.5f));
        const __m512 quarter = _mm512_mul_ps(half_everywhere(p), _mm512_set1_ps(0.25f));
        return {codes(_mm512_castsi512_si128(levels), words, low_shift),
                codes(_mm512_extracti32x4_epi32(levels, 1), words, high_shift), _mm512_mul_ps(quarter, level)};
    }
};

} // namespace
} // namespace ds4::cpu
