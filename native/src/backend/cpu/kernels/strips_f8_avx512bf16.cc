// Strips of F8_E4M3 times bf16 activations with the dot instructions of AVX-512 BF16.
#include "backend/cpu/kernels/e4m3_bf16.h"
#include "backend/cpu/kernels/strip_panels.h"

namespace ds4::cpu {
namespace {

constexpr int64_t kPrefetchBytes = 8 * kF8TileBytes;

inline __m512bh pair_everywhere(const uint16_t *values) {
    int32_t word;
    __builtin_memcpy(&word, values, 4);
    return (__m512bh)_mm512_set1_epi32(word);
}

// Tiles of 64 inputs whose activations lie together.
constexpr int64_t kRowTiles = kHalvesInputs / kTileInputs;
static_assert(kRowTiles % kBlockTiles == 0);

struct Bf16Arithmetic {
    using Token = const uint16_t *;
    static constexpr int64_t kTileBytes = kF8TileBytes, kDecodedBytes = 2 * kF8TileBytes;
    static Token token(const RowsTask &task, int64_t i) { return token_halves(task, i); }

    static void decode(const Tiles &place, int strip, uint8_t *out) {
        for (int64_t i = place.begin; i < place.end; i++) {
            const E4m3Decoder decoder(place.scales[i / 2]);
            const uint8_t *codes = place.first + strip * place.strip_bytes + i * kTileBytes;
            for (int v = 0; v < 16; v++, codes += 64, out += 128) {
                __m512i pairs[2];
                decoder.decode(_mm512_load_si512(codes), pairs);
                _mm512_store_si512(out, pairs[0]);
                _mm512_store_si512(out + 64, pairs[1]);
            }
        }
    }

    // Adds two inputs of every row.
    template <int T, int B>
    [[gnu::always_inline]] static inline void add_pair(const __m512i (&weights)[B],
                                                       const Token (&tokens)[T], int64_t at,
                                                       __m512 (&sums)[T][B]) {
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) {
            const __m512bh values = pair_everywhere(tokens[t] + at);
#pragma GCC unroll 4
            for (int b = 0; b < B; b++)
                sums[t][b] = _mm512_dpbf16_ps(sums[t][b], (__m512bh)weights[b], values);
        }
    }

    template <int T, int B, bool kIsFirst>
    [[gnu::always_inline]] static inline void
    add_tiles(const Tiles &place, const Token (&tokens)[T], __m512 (&sums)[T][B]) {
        for (int64_t i = place.begin; i < place.end; i++) {
            Token x[T];
#pragma GCC unroll 8
            for (int t = 0; t < T; t++)
                x[t] = tokens[t] + i / kRowTiles * place.tokens * kHalvesStride +
                       i % kRowTiles * kTileInputs;
            if constexpr (kIsFirst)
                add_codes<T, B>(place, i, x, sums);
            else
                add_decoded<T, B>(place, i - place.begin, x, sums);
        }
    }

    template <int T, int B>
    [[gnu::always_inline]] static inline void add_codes(const Tiles &place, int64_t i,
                                                        const Token (&x)[T], __m512 (&sums)[T][B]) {
        const E4m3Decoder decoder(place.scales[i / 2]);
        for (int v = 0; v < 16; v++) {
            __m512i first[B], second[B];
#pragma GCC unroll 4
            for (int b = 0; b < B; b++) {
                const uint8_t *codes =
                    place.first + b * place.strip_bytes + i * kTileBytes + v * 64;
                _mm_prefetch(reinterpret_cast<const char *>(codes) + kPrefetchBytes, _MM_HINT_T1);
                __m512i pairs[2];
                decoder.decode(_mm512_load_si512(codes), pairs);
                first[b] = pairs[0], second[b] = pairs[1];
            }
            add_pair<T, B>(first, x, v * 4, sums);
            add_pair<T, B>(second, x, v * 4 + 2, sums);
        }
    }

    template <int T, int B>
    [[gnu::always_inline]] static inline void
    add_decoded(const Tiles &place, int64_t tile, const Token (&x)[T], __m512 (&sums)[T][B]) {
#pragma GCC unroll 4
        for (int pair = 0; pair < 32; pair++) {
            __m512i weights[B];
#pragma GCC unroll 4
            for (int b = 0; b < B; b++)
                weights[b] = _mm512_load_si512(place.first + b * place.strip_bytes +
                                               tile * kDecodedBytes + pair * 64);
            add_pair<T, B>(weights, x, pair * 2, sums);
        }
    }
};

} // namespace

void strips_f8_avx512bf16(const RowsTask &task) { StripPanels<Bf16Arithmetic>::run(task); }

void round_to_halves_avx512bf16(const float *values, int64_t cols, uint16_t *out, int64_t stride) {
    for (int64_t i = 0; i < cols; i += kHalvesInputs, out += stride)
        for (int64_t j = 0; j < kHalvesInputs; j += 16) {
            const int64_t left = cols - i - j;
            const __mmask16 lanes = left >= 16 ? __mmask16(0xffff)
                                    : left > 0 ? __mmask16((1u << left) - 1)
                                               : __mmask16(0);
            const __m512 x = _mm512_maskz_loadu_ps(lanes, values + i + j);
            const __mmask16 large = _mm512_cmp_ps_mask(_mm512_abs_ps(x), _mm512_set1_ps(0x1p-100f),
                                                       _CMP_NLT_UQ); // NaN too
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(out + j),
                                (__m256i)_mm512_maskz_cvtneps_pbh(large, x));
        }
}

} // namespace ds4::cpu
