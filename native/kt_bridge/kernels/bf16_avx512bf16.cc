// bf16 activations with AVX-512 BF16. A 16-bit word of a code vector holds four nibbles. Shifted by
// 0, 4, 8 and 12 it indexes a word permute, whose table is repeated and whose upper bits are
// ignored. That gives the pairs (0,4), (1,5), (2,6), (3,7) of its eight inputs as bf16, which is
// exact. A group of a row is one chain of dot instructions from zero, which is then scaled and
// added. Any number of tokens and the down products therefore give the same bits.
#include "kernels/panel_micro_kernels.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

inline __m512i code_table() {
    const __m256i words = _mm256_setr_epi16(
        0, 0x3f00, 0x3f80, 0x3fc0, 0x4000, 0x4040, 0x4080, 0x40c0, short(0x8000), short(0xbf00),
        short(0xbf80), short(0xbfc0), short(0xc000), short(0xc040), short(0xc080), short(0xc0c0));
    return _mm512_broadcast_i64x4(words);
}
inline __m512bh as_bf16(__m512i words) { return (__m512bh)words; }
inline __m512bh broadcast_pair(const uint8_t *group, int i) {
    int32_t dword;
    __builtin_memcpy(&dword, group + size_t(i) * 4, 4);
    return as_bf16(_mm512_set1_epi32(dword));
}
inline __m512 block_scales(const uint8_t *tile, int block) {
    const __m128i bytes = _mm_load_si128(
        reinterpret_cast<const __m128i *>(tile + kTileCodeBytes + size_t(block) * 16));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu8_epi32(bytes), 23));
}

struct Bf16Arithmetic {
    static constexpr size_t kGroupBytes = sizeof(Bf16Group);
    static bool is_exact(const uint8_t *) { return true; }

    // The T x B chains advance together, because one alone would wait for the latency of the dot
    // instruction.
    template <int T, int B>
    [[gnu::always_inline]] static inline void
    add(const uint8_t *tile, int block, const uint8_t *const (&groups)[T], bool, Sums<T, B> &sums) {
        const __m512i table = code_table();
        const uint8_t *const codes = tile + size_t(block) * 256;
        __m512 dots[T][B];
#pragma GCC unroll 8
        for (int t = 0; t < T; t++)
#pragma GCC unroll 4
            for (int b = 0; b < B; b++) dots[t][b] = _mm512_setzero_ps();
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            __m512bh weights[B];
#pragma GCC unroll 4
            for (int b = 0; b < B; b++) {
                const __m512i words = _mm512_load_si512(codes + (b * 4 + i / 4) * 64);
                weights[b] = as_bf16(_mm512_permutexvar_epi16(
                    i % 4 == 0 ? words : _mm512_srli_epi16(words, unsigned(i % 4) * 4), table));
            }
#pragma GCC unroll 8
            for (int t = 0; t < T; t++) {
                const __m512bh values = broadcast_pair(groups[t], i);
#pragma GCC unroll 4
                for (int b = 0; b < B; b++)
                    dots[t][b] = _mm512_dpbf16_ps(dots[t][b], weights[b], values);
            }
        }
#pragma GCC unroll 4
        for (int b = 0; b < B; b++) {
            const __m512 scales = block_scales(tile, block + b);
#pragma GCC unroll 8
            for (int t = 0; t < T; t++)
                sums[t][b] = _mm512_fmadd_ps(dots[t][b], scales, sums[t][b]);
        }
    }
};

void prepare(const float *x, int groups, uint8_t *out) {
    alignas(64) static constexpr int16_t kOrder[32] = {0,  4,  1,  5,  2,  6,  3,  7,  8,  12, 9,
                                                       13, 10, 14, 11, 15, 16, 20, 17, 21, 18, 22,
                                                       19, 23, 24, 28, 25, 29, 26, 30, 27, 31};
    const __m512i order = _mm512_load_si512(kOrder);
    for (int g = 0; g < groups; g++, x += kGroup) {
        const __m512i words =
            (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16), _mm512_loadu_ps(x));
        _mm512_storeu_si512(out + size_t(g) * sizeof(Bf16Group),
                            _mm512_permutexvar_epi16(order, words));
    }
}

using MicroKernels = PanelMicroKernels<Bf16Arithmetic>;

} // namespace

const Kernels kAvx512Bf16 = {"avx512",
                             "bf16",
                             sizeof(Bf16Group),
                             prepare,
                             MicroKernels::panel,
                             MicroKernels::panel,
                             MicroKernels::down,
                             swiglu_avx512,
                             add_scaled_avx512,
                             add_avx512};

} // namespace ds4::ktb
