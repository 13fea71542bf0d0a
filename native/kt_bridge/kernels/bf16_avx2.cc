// bf16 activations with AVX2: no bf16 dot exists there, so codes and activations widen to f32 and meet in FMAs. A
// dword holds eight inputs of one row; a lane permute looks up the magnitude and ignores the sign bit above it.
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/scalar.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

constexpr int kHalves = 8;
constexpr int kBlockGroups = 8;

// Both lines of half a row block.
inline void prefetch_ahead(const uint8_t *line) {
    _mm_prefetch(reinterpret_cast<const char *>(line), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char *>(line + 64), _MM_HINT_T0);
}
inline const uint8_t *half_codes(const uint8_t *tile, int half) { return tile + (half / 2) * 256 + (half % 2) * 32; }
inline __m256 half_scales(const uint8_t *tile, int half) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(tile + kTileCodeBytes + size_t(half) * 8));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu8_epi32(bytes), 23));
}

void prepare(const float *x, int groups, uint8_t *out) {
    for (int g = 0; g < groups; g++, x += kGroup) {
        Bf16Group &group = reinterpret_cast<Bf16Group *>(out)[g];
        for (int p = 0; p < kGroup; p++) group.values[p] = bf16_from_f32(x[bf16_source(p)]);
    }
}

// The 32 activations of a group as f32, in the order of the group.
inline void widen(const uint8_t *row, int g, float *out) {
    const Bf16Group &group = reinterpret_cast<const Bf16Group *>(row)[g];
    for (int p = 0; p < kGroup; p += 8) {
        const __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(group.values + p)));
        _mm256_storeu_ps(out + p, _mm256_castsi256_ps(_mm256_slli_epi32(words, 16)));
    }
}
inline __m256 broadcast_pair(const float *pair) {
    return _mm256_castpd_ps(_mm256_broadcast_sd(reinterpret_cast<const double *>(pair)));
}

// Unscaled dots of N times 8 rows with one group of T tokens. x: [T, 32] f32 in the order of the group.
// Two byte shuffles give the upper and lower bytes of the bf16 values of 32 nibbles; interleaved, a dword holds two
// inputs of one row, its neighbour the inputs four further: a register of f32 meets a broadcast pair of activations,
// and adjacent lanes are added at the end. N halves side by side overlap the latency of the FMAs.
template <int T, int N> inline void half_dots(const uint8_t *const *codes, const float *x, __m256 (*dots)[T]) {
    const __m256i upper = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 0x3f, 0x3f, 0x3f, 0x40, 0x40, 0x40, 0x40, char(0x80), char(0xbf), char(0xbf), char(0xbf),
                                                                    char(0xc0), char(0xc0), char(0xc0), char(0xc0)));
    const __m256i lower = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 0, char(0x80), char(0xc0), 0, 0x40, char(0x80), char(0xc0), 0, 0, char(0x80), char(0xc0), 0, 0x40,
                                                                    char(0x80), char(0xc0)));
    const __m256i mask = _mm256_set1_epi8(15), high_words = _mm256_set1_epi32(int(0xffff0000u));
    __m256 sums[N][T][2]; // rows 0, 1, 4, 5 and rows 2, 3, 6, 7
    for (int n = 0; n < N; n++)
        for (int t = 0; t < T; t++) sums[n][t][0] = sums[n][t][1] = _mm256_setzero_ps();
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++)
#pragma GCC unroll 2
        for (int odd = 0; odd < 2; odd++) // low nibbles are the even inputs
#pragma GCC unroll 2
            for (int n = 0; n < N; n++) {
                const __m256i packed = _mm256_load_si256(reinterpret_cast<const __m256i *>(codes[n] + v * 64));
                const __m256i nibbles = _mm256_and_si256(odd ? _mm256_srli_epi16(packed, 4) : packed, mask);
                const __m256i high = _mm256_shuffle_epi8(upper, nibbles), low = _mm256_shuffle_epi8(lower, nibbles);
#pragma GCC unroll 2
                for (int rows = 0; rows < 2; rows++) {
                    const __m256i words = rows == 0 ? _mm256_unpacklo_epi8(low, high) : _mm256_unpackhi_epi8(low, high);
                    const __m256 first = _mm256_castsi256_ps(_mm256_slli_epi32(words, 16)), second = _mm256_castsi256_ps(_mm256_and_si256(words, high_words));
#pragma GCC unroll 4
                    for (int t = 0; t < T; t++) {
                        const float *pairs = x + t * kGroup + v * 8 + odd * 2; // inputs (0, 4), (1, 5), (2, 6), (3, 7)
                        sums[n][t][rows] = _mm256_fmadd_ps(first, broadcast_pair(pairs), sums[n][t][rows]);
                        sums[n][t][rows] = _mm256_fmadd_ps(second, broadcast_pair(pairs + 4), sums[n][t][rows]);
                    }
                }
            }
    for (int n = 0; n < N; n++)
        for (int t = 0; t < T; t++) dots[n][t] = _mm256_hadd_ps(sums[n][t][0], sums[n][t][1]);
}

// One group of T tokens against a tile: sum[t] + row are continued, or started.
template <int T> inline void tile_products(const uint8_t *tile, const uint8_t *ahead, const float *x, float *const *sum, bool starts) {
    constexpr int N = T == 1 ? 2 : 1;
    for (int half = 0; half < kHalves; half += N) {
        const uint8_t *codes[N];
        __m256 dots[N][T];
        for (int n = 0; n < N; n++) {
            codes[n] = half_codes(tile, half + n);
            if (ahead != nullptr) prefetch_ahead(ahead + (half + n) * 128);
        }
        half_dots<T, N>(codes, x, dots);
        for (int n = 0; n < N; n++) {
            const __m256 scales = half_scales(tile, half + n);
            for (int t = 0; t < T; t++) {
                float *out = sum[t] + (half + n) * 8;
                const __m256 before = starts ? _mm256_setzero_ps() : _mm256_loadu_ps(out);
                _mm256_storeu_ps(out, _mm256_fmadd_ps(dots[n][t], scales, before));
            }
        }
    }
}

template <int T> inline void panel_tokens(const PanelArgs &args, int first_token, int begin, int end) {
    float *sums[T];
    for (int t = 0; t < T; t++) sums[t] = args.sums + size_t(first_token + t) * kTileRows;
    const uint8_t *tile = args.tiles + size_t(begin) * args.tile_stride;
    for (int g = begin; g < end; g++, tile += args.tile_stride) {
        float x[T * kGroup];
        for (int t = 0; t < T; t++) widen(args.rows[first_token + t], g, x + t * kGroup);
        tile_products<T>(tile, first_token == 0 ? tile + args.ahead : nullptr, x, sums, g == 0);
    }
}

void panel(const PanelArgs &args) {
    if (args.tokens == 1) return panel_tokens<1>(args, 0, 0, args.groups);
    for (int begin = 0; begin < args.groups; begin += kBlockGroups) {
        const int end = begin + kBlockGroups < args.groups ? begin + kBlockGroups : args.groups;
        int t = 0;
        for (; t + 4 <= args.tokens; t += 4) panel_tokens<4>(args, t, begin, end);
        if (args.tokens - t == 3) panel_tokens<3>(args, t, begin, end);
        if (args.tokens - t == 2) panel_tokens<2>(args, t, begin, end);
        if (args.tokens - t == 1) panel_tokens<1>(args, t, begin, end);
    }
}

template <int T> inline void down_tokens(const DownArgs &args, int first_token) {
    float x[T * kGroup];
    float *outputs[T];
    for (int t = 0; t < T; t++) {
        widen(args.groups[first_token + t], 0, x + t * kGroup);
        outputs[t] = args.outputs[first_token + t];
    }
    const uint8_t *tile = args.tiles;
    for (int i = 0; i < args.row_tiles; i++, tile += kTileBytes) {
        tile_products<T>(tile, tile + kPrefetchTiles * kTileBytes, x, outputs, args.first);
        for (int t = 0; t < T; t++) outputs[t] += kTileRows;
    }
}

void down(const DownArgs &args) {
    int t = 0;
    for (; t + 2 <= args.tokens; t += 2) down_tokens<2>(args, t);
    if (t < args.tokens) down_tokens<1>(args, t);
}

} // namespace

const Kernels kAvx2Bf16 = {"avx2", "bf16", sizeof(Bf16Group), prepare, panel, panel, down, swiglu_avx2, add_scaled_avx2, add_avx2};

} // namespace ds4::ktb
