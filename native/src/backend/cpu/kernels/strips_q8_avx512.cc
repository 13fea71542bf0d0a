// Strips of Q8_0 times int8 activations with AVX-512 VNNI.
//
// A sum becomes a float through its bits: it starts at kFloatBias, so that its bits are those of
// C + sum with C = 1.5 * 2^23. One fused operation takes C * scale off the product with the weight
// scale, which is exact, and rounds once. The bits are those of float(sum) * scale.
#include "backend/cpu/kernels/strip_panels.h"

namespace ds4::cpu {
namespace {

constexpr int64_t kPrefetchBytes = 8 * kQ8TileBytes;

inline __m512i four_everywhere(const int8_t *values) {
    int32_t word;
    __builtin_memcpy(&word, values, 4);
    return _mm512_set1_epi32(word);
}

// Adds the products of one group of 32 inputs. half: which one of its tile.
template <int T, int B>
[[gnu::always_inline]] inline void add_group(const uint8_t *const (&tiles)[B], int half,
                                             const ActivationGroup *const (&x)[T], int block,
                                             __m512 (&sums)[T][B]) {
    __m512i dots[T][B];
#pragma GCC unroll 8
    for (int t = 0; t < T; t++)
#pragma GCC unroll 4
        for (int b = 0; b < B; b++) dots[t][b] = _mm512_set1_epi32(x[t]->starts[block]);
#pragma GCC unroll 8
    for (int v = 0; v < 8; v++) {
        __m512i weights[B];
#pragma GCC unroll 4
        for (int b = 0; b < B; b++) weights[b] = _mm512_load_si512(tiles[b] + half * 512 + v * 64);
        const int place = 16 * block + 4 * v + (v < 4 ? 0 : 48); // second halves lie 64 bytes on
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) {
            const __m512i values = four_everywhere(x[t]->quants + place);
#pragma GCC unroll 4
            for (int b = 0; b < B; b++)
                dots[t][b] = _mm512_dpbusd_epi32(dots[t][b], weights[b], values);
        }
    }
#pragma GCC unroll 4
    for (int b = 0; b < B; b++) {
        const __m512 scale = _mm512_cvtph_ps(_mm256_load_si256(
            reinterpret_cast<const __m256i *>(tiles[b] + kQ8CodeBytes + half * 32)));
        const __m512 bias = _mm512_mul_ps(scale, _mm512_set1_ps(0x1.8p23f));
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) {
            const __m512 product = _mm512_fmsub_ps(_mm512_castsi512_ps(dots[t][b]), scale, bias);
            sums[t][b] = _mm512_fmadd_ps(product, _mm512_set1_ps(x[t]->scales[block]), sums[t][b]);
        }
    }
}

struct Int8Arithmetic {
    using Token = const ActivationGroup *;
    static constexpr int64_t kTileBytes = kQ8TileBytes, kDecodedBytes = 0;
    static Token token(const RowsTask &task, int64_t i) { return token_groups(task, i); }

    // Tile i of the strips is half a group of 128 inputs.
    template <int T, int B, bool kIsFirst>
    [[gnu::always_inline]] static inline void
    add_tiles(const Tiles &place, const Token (&tokens)[T], __m512 (&sums)[T][B]) {
        for (int64_t i = place.begin; i < place.end; i++) {
            const uint8_t *tiles[B];
            const ActivationGroup *x[T];
#pragma GCC unroll 4
            for (int b = 0; b < B; b++)
                tiles[b] = place.first + b * place.strip_bytes + i * kQ8TileBytes;
#pragma GCC unroll 8
            for (int t = 0; t < T; t++) x[t] = tokens[t] + i / 2;
            if constexpr (kIsFirst)
#pragma GCC unroll 4
                for (int b = 0; b < B; b++)
#pragma GCC unroll 17
                    for (int line = 0; line < 17; line++)
                        _mm_prefetch(reinterpret_cast<const char *>(tiles[b]) + kPrefetchBytes +
                                         line * 64,
                                     _MM_HINT_T1);
            const int first = int(i % 2) * 2;
            add_group<T, B>(tiles, 0, x, first, sums);
            add_group<T, B>(tiles, 1, x, first + 1, sums);
        }
    }
};

} // namespace

void strips_q8_0_avx512(const RowsTask &task) { StripPanels<Int8Arithmetic>::run(task); }

} // namespace ds4::cpu
