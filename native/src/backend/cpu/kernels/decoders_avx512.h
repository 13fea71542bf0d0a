// Decoders of block types into Avx512::Codes. They read exactly the bytes of a group, never one
// past it.
#pragma once
#include "backend/cpu/kernels/groups.h"
#include "backend/cpu/kernels/ops_avx512.h"
#include "format/iq2xxs.h"

namespace ds4::cpu {
namespace {

struct PlainCodesAvx512 {
    using Codes = Avx512::Codes;
    static constexpr bool kSeparateScales = false;
    static constexpr int kStepGroups = 1;
    static constexpr float kResultFactor = 1.0f;
};

inline __m512i load_blocks16(const uint8_t *first, int64_t stride) {
    const auto load = [&](int64_t i) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i *>(first + i * stride));
    };
    __m512i blocks = _mm512_castsi128_si512(load(0));
    blocks = _mm512_inserti32x4(blocks, load(1), 1);
    blocks = _mm512_inserti32x4(blocks, load(2), 2);
    return _mm512_inserti32x4(blocks, load(3), 3);
}

struct Q8_0Avx512 : PlainCodesAvx512 {
    static constexpr int kBlockBytes = 34, kGroupBytes = 136;

    // 136 bytes: four blocks, each an f16 scale and 32 bytes.
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
        const __m512i halves = _mm512_permutex2var_epi16(_mm512_loadu_si512(p), scale_words,
                                                         _mm512_loadu_si512(p + 64));
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

    // 68 bytes: four blocks, each a scale byte and 16 bytes of nibbles.
    static inline Codes load(const BlockRow &row, int64_t group) {
        const uint8_t *p = row.data + group * 68;
        const __m512i nibbles = load_blocks16(p + 1, 17);
        const __m512i scale_bytes =
            _mm512_setr_epi32(0, 0, 0, 0, 17, 17, 17, 17, 34, 34, 34, 34, 51, 51, 51, 51);
        const __m512i exponents = _mm512_maskz_permutexvar_epi8(0x1111111111111111ull, scale_bytes,
                                                                _mm512_loadu_si512(p));
        return {e2m1_codes(nibbles), e2m1_codes(_mm512_srli_epi16(nibbles, 4)),
                e8m0_scales(exponents)};
    }
};

struct Fp4PackedAvx512 : PlainCodesAvx512 {
    static constexpr int kBlockBytes = 16, kGroupBytes = 64;
    static constexpr bool kSeparateScales = true;
    static constexpr float kResultFactor = 0.5f;

    // 64 bytes: value 2j in the low and 2j + 1 in the high nibble. Four scale bytes lie elsewhere.
    static inline Codes load(const BlockRow &row, int64_t group) {
        const __m512i nibbles = _mm512_loadu_si512(row.data + group * 64);
        const __m512i even = e2m1_codes(nibbles), odd = e2m1_codes(_mm512_srli_epi16(nibbles, 4));
        int32_t four;
        __builtin_memcpy(&four, row.scales + group * 4, 4);
        const __m512i lane_byte = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
        const __m512i exponents = _mm512_maskz_permutexvar_epi8(0x1111111111111111ull, lane_byte,
                                                                _mm512_set1_epi32(four));
        return {_mm512_unpacklo_epi8(even, odd), _mm512_unpackhi_epi8(even, odd),
                e8m0_scales(exponents)};
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
// Byte b of `four` as integers of the lanes of block b: 32-bit ones or pairs of words.
constexpr uint64_t kEveryFourth = 0x1111111111111111ull, kEverySecond = 0x5555555555555555ull;
inline __m512i block_bytes(uint32_t four, uint64_t places) {
    const __m512i index = _mm512_setr_epi32(
        0, 0, 0, 0, 0x00010001, 0x00010001, 0x00010001, 0x00010001, 0x00020002, 0x00020002,
        0x00020002, 0x00020002, 0x00030003, 0x00030003, 0x00030003, 0x00030003);
    return _mm512_maskz_permutexvar_epi8(places, index, _mm512_set1_epi32(int32_t(four)));
}

struct Q4KAvx512 : PlainCodesAvx512 {
    using Codes = Avx512::CodesWithMins;
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
        const __m512i q = _mm512_loadu_si512(p + 16 + group % 2 * 64);
        const __m512i mask = _mm512_set1_epi8(15);
        // 16-byte parts: even = blocks 0 0' 2 2', odd = blocks 1 1' 3 3'
        const __m512i even = _mm512_and_si512(q, mask),
                      odd = _mm512_and_si512(_mm512_srli_epi16(q, 4), mask);
        const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
        const __m512i high = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
        return {_mm512_permutex2var_epi64(even, low, odd),
                _mm512_permutex2var_epi64(even, high, odd),
                _mm512_mul_ps(half_everywhere(p),
                              _mm512_cvtepi32_ps(block_bytes(scales, kEveryFourth))),
                block_bytes(mins, kEverySecond), half_everywhere(p + 2)};
    }
};

struct Q2KAvx512 : PlainCodesAvx512 {
    using Codes = Avx512::CodesWithMins;
    static constexpr int kBlockBytes = 0, kGroupBytes = 42, kStepGroups = 2;

    // Sixteen bytes of 2-bit codes for all four blocks, times their scales (words). A code is at
    // most 45, so that a 16-bit product is two byte products.
    static inline __m512i codes(const uint8_t *from, __m512i scales) {
        const __m512i shifts =
            _mm512_setr_epi64(0, 0, 0x0002000200020002, 0x0002000200020002, 0x0004000400040004,
                              0x0004000400040004, 0x0006000600060006, 0x0006000600060006);
        const __m512i shifted = _mm512_srlv_epi16(Bytes16::everywhere(from), shifts);
        return _mm512_mullo_epi16(_mm512_and_si512(shifted, _mm512_set1_epi8(3)), scales);
    }
    // Byte `first` of block 0, `first` + 2 of block 1 and so on, as words of the block's 128 bits.
    // The second word of a pair lies `apart` bytes on.
    static inline __m512i words_of(__m512i bytes, int first, int apart) {
        const int32_t pair = int32_t(0x80008000u | uint32_t(first) | uint32_t(first + apart) << 16);
        const __m512i steps = _mm512_setr_epi32(
            0, 0, 0, 0, 0x00020002, 0x00020002, 0x00020002, 0x00020002, 0x00040004, 0x00040004,
            0x00040004, 0x00040004, 0x00060006, 0x00060006, 0x00060006, 0x00060006);
        return _mm512_shuffle_epi8(bytes, _mm512_add_epi8(steps, _mm512_set1_epi32(pair)));
    }

    static inline void load_pair(const BlockRow &row, int64_t pair, Codes *out) {
        const uint8_t *p = row.data + pair * 84;
        const __m512i bytes = Bytes16::everywhere(p), mask = _mm512_set1_epi8(15);
        const __m512i scales = _mm512_and_si512(bytes, mask),
                      mins = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), mask);
        const __m512 scale = half_everywhere(p + 80), min_scale = half_everywhere(p + 82);
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            const uint8_t *q = p + 16 + 32 * half;
            out[half] = {codes(q, words_of(scales, 8 * half, 0)),
                         codes(q + 16, words_of(scales, 8 * half + 1, 0)), scale,
                         words_of(mins, 8 * half, 1), min_scale};
        }
    }
};

struct Iq2XxsAvx512 : PlainCodesAvx512 {
    static constexpr int kBlockBytes = 0, kGroupBytes = 33, kStepGroups = 2;

    // The codebook rows of 32 indices, one in the low byte of each 16-bit lane, as 2-bit levels.
    // The lookup reads 256 words held as four pairs of vectors. Gathering the expanded rows from
    // memory took five times as long.
    static inline __m512i levels_of(__m512i index) {
        const auto pair = [&](int i) {
            const uint16_t *words = kIq2XxsLevels.rows + 64 * i;
            return _mm512_permutex2var_epi16(_mm512_load_si512(words), index,
                                             _mm512_load_si512(words + 32));
        };
        const __mmask32 bit6 = _mm512_test_epi16_mask(index, _mm512_set1_epi16(64));
        const __mmask32 bit7 = _mm512_test_epi16_mask(index, _mm512_set1_epi16(128));
        return _mm512_mask_mov_epi16(_mm512_mask_mov_epi16(pair(0), bit6, pair(1)), bit7,
                                     _mm512_mask_mov_epi16(pair(2), bit6, pair(3)));
    }

    // Half a group: sub-groups `first` and `first` + 1 of four blocks. Both vectors have 64 bits a
    // block: 16 of levels a sub-group, and a sign mask in each of the lower four bytes.
    static inline __m512i codes(__m512i levels, __m512i masks, int half, int first) {
        const __m512i twice = _mm512_add_epi64(_mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3),
                                               _mm512_set1_epi64(4 * half));
        const __m512i even = _mm512_set1_epi64(0x0e0c0a0806040200),
                      odd = _mm512_set1_epi64(0x1e1c1a1816141210);
        const __m512i bits = _mm512_add_epi8(_mm512_mask_blend_epi64(0xaa, even, odd),
                                             _mm512_set1_epi8(char(16 * first)));
        const __m512i spread =
            _mm512_multishift_epi64_epi8(bits, _mm512_permutexvar_epi64(twice, levels));
        // by level, the upper index bits are ignored: 128 + the magnitude
        const __m512i magnitude = _mm512_set1_epi32(int32_t(136u | 153u << 8 | 171u << 16));
        const __m512i values = _mm512_permutexvar_epi8(spread, magnitude);
        const __m512i mask_bytes = _mm512_add_epi8(
            _mm512_setr_epi64(0, 0x0101010101010101, 0x0808080808080808, 0x0909090909090909,
                              0x1010101010101010, 0x1111111111111111, 0x1818181818181818,
                              0x1919191919191919),
            _mm512_set1_epi8(char(32 * half + first)));
        const __mmask64 negative =
            _mm512_test_epi8_mask(_mm512_permutexvar_epi8(mask_bytes, masks),
                                  _mm512_set1_epi64(int64_t(0x8040201008040201ull)));
        return _mm512_mask_sub_epi8(values, negative, _mm512_setzero_si512(),
                                    values); // 128 - the magnitude
    }

    // Eight blocks of 64 bits: four indices, four sign indices of 7 bits, and the level of the
    // scale.
    static inline void load_pair(const BlockRow &row, int64_t pair, Codes *out) {
        const uint8_t *p = row.data + pair * 66;
        const __m512i blocks = _mm512_loadu_si512(p + 2);
        const __m512i index_places =
            _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 1, 0, 2, 0, 3, 0, 8, 0, 9, 0, 10, 0, 11, 0));
        const __m512i levels = levels_of(_mm512_shuffle_epi8(blocks, index_places));
        const __m512i sign_bits = _mm512_set1_epi64(53 << 24 | 46 << 16 | 39 << 8 | 32);
        const __m512i sign_index =
            _mm512_multishift_epi64_epi8(sign_bits, blocks); // bit 7 is ignored
        const __m512i masks =
            _mm512_permutex2var_epi8(_mm512_load_si512(kIq2XxsSigns.masks), sign_index,
                                     _mm512_load_si512(kIq2XxsSigns.masks + 64));
        // (level + 1/2) / 4 and its product with an f16 are exact
        const __m512 level = _mm512_cvtepi32_ps(_mm512_srli_epi32(blocks, 28));
        const __m512 quarter =
            _mm512_fmadd_ps(level, _mm512_set1_ps(0.25f), _mm512_set1_ps(0.125f));
        const __m512 scales = _mm512_mul_ps(quarter, half_everywhere(p));
        const __m512i lanes = _mm512_setr_epi32(1, 1, 1, 1, 3, 3, 3, 3, 5, 5, 5, 5, 7, 7, 7, 7);
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++)
            out[half] = {codes(levels, masks, half, 0), codes(levels, masks, half, 2),
                         _mm512_permutexvar_ps(_mm512_add_epi32(lanes, _mm512_set1_epi32(8 * half)),
                                               scales)};
    }
};

} // namespace
} // namespace ds4::cpu
