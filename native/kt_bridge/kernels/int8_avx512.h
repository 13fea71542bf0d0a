// int8 activations with AVX-512 VNNI, as both of its tables compute. A dot instruction adds four
// products of an unsigned and a signed byte, but weights and activations both have signs. One side
// gets an offset, and the sum starts at minus the contribution of the offset. Here weights get it:
// 2 * E2M1 + 12 (0..24), and the sum starts at -12 * sum of the activations.
//
// A sum becomes a float through its bits. Let C = 1.5 * 2^(23 + exponent of the scale). The integer
// sum added to the bits of C gives the float C + sum * scale. The code subtracts C and multiplies
// by the group's scale. All but the last addition are exact, so that the bits are those of a
// conversion.
#pragma once
#include "kernels/panel_micro_kernels.h"

namespace ds4::ktb {
namespace {

// The table of a byte permute is repeated four times, so that the upper index bits need no mask.
inline __m512i offset_table() {
    return _mm512_broadcast_i32x4(
        _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
}
inline __m512i broadcast_dword(const void *values) {
    int32_t dword;
    __builtin_memcpy(&dword, values, 4);
    return _mm512_set1_epi32(dword);
}
inline __m512i block_exponents(const uint8_t *tile, int block) {
    return _mm512_cvtepu8_epi32(_mm_load_si128(
        reinterpret_cast<const __m128i *>(tile + kTileCodeBytes + size_t(block) * 16)));
}
inline __m512i block_minuends(const uint8_t *tile, int block) { // C of the head comment
    return _mm512_add_epi32(_mm512_slli_epi32(block_exponents(tile, block), 23),
                            _mm512_set1_epi32((23 << 23) + 0x400000));
}
inline __m512 scaled_sum(__m512i bits, __m512i minuend, float group_scale, __m512 sum) {
    const __m512 scaled = _mm512_sub_ps(_mm512_castsi512_ps(bits), _mm512_castsi512_ps(minuend));
    return _mm512_fmadd_ps(scaled, _mm512_set1_ps(group_scale), sum);
}
inline const Int8Group &group_at(const uint8_t *row) {
    return *reinterpret_cast<const Int8Group *>(row);
}

// kOffset: prepared values have 128 added.
template <bool kOffset> struct Int8Arithmetic {
    static constexpr size_t kGroupBytes = sizeof(Int8Group);

    // Whether C and the products of every scale of a tile with any sum are normal floats: scales 1
    // to 230.
    static bool is_exact(const uint8_t *tile) {
        const __m512i less =
            _mm512_sub_epi8(_mm512_load_si512(tile + kTileCodeBytes), _mm512_set1_epi8(1));
        return _mm512_cmpgt_epu8_mask(less, _mm512_set1_epi8(char(229))) == 0;
    }

    // The T x B chains advance together, because one alone would wait for the latency of the dot
    // instruction.
    template <int T, int B>
    [[gnu::always_inline]] static inline void add(const uint8_t *tile, int block,
                                                  const uint8_t *const (&groups)[T], bool exact,
                                                  Sums<T, B> &sums) {
        const __m512i table = offset_table(), offset = _mm512_set1_epi8(char(0x80));
        const uint8_t *const first = tile + size_t(block) * 256;
        __m512i dots[T][B];
#pragma GCC unroll 8
        for (int t = 0; t < T; t++)
#pragma GCC unroll 4
            for (int b = 0; b < B; b++)
                dots[t][b] = _mm512_set1_epi32(group_at(groups[t]).correction);
        // Nibbles of a code vector that are decoded together, as long as there are registers.
        constexpr int kAtOnce = 2 * T * B + 2 * B + (kOffset ? 4 : 3) <= 32 ? 2 : 1;
#pragma GCC unroll 8
        for (int i = 0; i < 8; i += kAtOnce) {
            __m512i weights[kAtOnce][B];
#pragma GCC unroll 4
            for (int b = 0; b < B; b++) {
                const __m512i codes = _mm512_load_si512(first + (b * 4 + i / 2) * 64);
#pragma GCC unroll 2
                for (int k = 0; k < kAtOnce; k++)
                    weights[k][b] = _mm512_permutexvar_epi8(
                        (i + k) % 2 == 0 ? codes : _mm512_srli_epi16(codes, 4), table);
            }
#pragma GCC unroll 8
            for (int t = 0; t < T; t++)
#pragma GCC unroll 2
                for (int k = 0; k < kAtOnce; k++) {
                    const __m512i four = broadcast_dword(group_at(groups[t]).values + (i + k) * 4),
                                  values = kOffset ? _mm512_xor_si512(four, offset) : four;
#pragma GCC unroll 4
                    for (int b = 0; b < B; b++)
                        dots[t][b] = _mm512_dpbusd_epi32(dots[t][b], weights[k][b], values);
                }
        }
        if (__builtin_expect(exact, true)) {
#pragma GCC unroll 4
            for (int b = 0; b < B; b++) {
                const __m512i minuend = block_minuends(tile, block + b);
#pragma GCC unroll 8
                for (int t = 0; t < T; t++)
                    sums[t][b] = scaled_sum(_mm512_add_epi32(dots[t][b], minuend), minuend,
                                            group_at(groups[t]).scale, sums[t][b]);
            }
            return;
        }
#pragma GCC unroll 4
        for (int b = 0; b < B; b++) {
            const __m512 scales =
                _mm512_castsi512_ps(_mm512_slli_epi32(block_exponents(tile, block + b), 23));
#pragma GCC unroll 8
            for (int t = 0; t < T; t++)
                sums[t][b] = _mm512_fmadd_ps(
                    _mm512_cvtepi32_ps(dots[t][b]),
                    _mm512_mul_ps(scales, _mm512_set1_ps(group_at(groups[t]).scale)), sums[t][b]);
        }
    }
};

// kOffset: adds 128 to the values.
template <bool kOffset> void prepare(const float *x, int groups, uint8_t *out) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
    const __m128i offset = _mm_set1_epi8(kOffset ? char(0x80) : 0);
    for (int g = 0; g < groups; g++, x += kGroup) {
        Int8Group &group = reinterpret_cast<Int8Group *>(out)[g];
        const __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
        const uint32_t largest = _mm512_reduce_max_epu32(
            _mm512_max_epu32(_mm512_and_epi32(_mm512_castps_si512(a), magnitude),
                             _mm512_and_epi32(_mm512_castps_si512(b), magnitude)));
        const float amax = __builtin_bit_cast(float, largest);
        const bool finite = largest < 0x7f800000u,
                   usable = finite && amax > 4e-37f; // 127 / amax stays finite
        const __m512 inverse = _mm512_set1_ps(usable ? 127.0f / amax : 0.0f);
        __m512i qa = _mm512_cvtps_epi32(_mm512_mul_ps(a, inverse)),
                qb = _mm512_cvtps_epi32(_mm512_mul_ps(b, inverse));
        if (!usable) qa = qb = _mm512_setzero_si512();
        _mm_storeu_si128(reinterpret_cast<__m128i *>(group.values),
                         _mm_xor_si128(_mm_shuffle_epi8(_mm512_cvtepi32_epi8(qa), order), offset));
        _mm_storeu_si128(reinterpret_cast<__m128i *>(group.values + 16),
                         _mm_xor_si128(_mm_shuffle_epi8(_mm512_cvtepi32_epi8(qb), order), offset));
        group.scale = finite ? (usable ? amax / 127.0f * 0.5f : 0.0f) : __builtin_nanf("");
        group.correction = -12 * _mm512_reduce_add_epi32(_mm512_add_epi32(qa, qb));
    }
}

} // namespace
} // namespace ds4::ktb
