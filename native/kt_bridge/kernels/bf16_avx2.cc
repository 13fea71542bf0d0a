// bf16 activations with AVX2: no bf16 dot exists there, so codes and activations widen to f32 and meet in FMAs. A
// dword holds eight inputs of one row; a lane permute looks up the magnitude and ignores the sign bit above it.
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/scalar.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

constexpr int kHalves = 8;
constexpr int kChunkGroups = 8;

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

// The 32 activations of a group as f32, in the order of the inputs.
inline void widen(const uint8_t *row, int g, float *out) {
    const Bf16Group &group = reinterpret_cast<const Bf16Group *>(row)[g];
    for (int p = 0; p < kGroup; p++) out[bf16_source(p)] = f32_from_bf16(group.values[p]);
}

// Unscaled dots of 8 rows with one group of T tokens. x: [T, 32] f32. Four vectors of a row have sums of their own
// when there is one token, so that the latency of the FMAs overlaps.
template <int T> inline void half_dots(const uint8_t *codes, const float *x, __m256 *dots) {
    constexpr int kChains = T == 1 ? 4 : 1;
    const __m256 magnitudes = _mm256_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f);
    const __m256i sign = _mm256_set1_epi32(int(0x80000000u));
    __m256 sums[T][kChains];
    for (int t = 0; t < T; t++)
        for (int chain = 0; chain < kChains; chain++) sums[t][chain] = _mm256_setzero_ps();
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) {
        const __m256i packed = _mm256_load_si256(reinterpret_cast<const __m256i *>(codes + v * 64));
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            const __m256i code = _mm256_srli_epi32(packed, i * 4);
            const __m256 magnitude = _mm256_permutevar8x32_ps(magnitudes, code);
            const __m256i negative = _mm256_and_si256(_mm256_slli_epi32(packed, 28 - i * 4), sign);
            const __m256 weights = _mm256_xor_ps(magnitude, _mm256_castsi256_ps(negative));
#pragma GCC unroll 4
            for (int t = 0; t < T; t++) {
                __m256 &sum = sums[t][i % kChains];
                sum = _mm256_fmadd_ps(weights, _mm256_broadcast_ss(x + t * kGroup + v * 8 + i), sum);
            }
        }
    }
    for (int t = 0; t < T; t++) {
        dots[t] = sums[t][0];
        for (int chain = 1; chain < kChains; chain++) dots[t] = _mm256_add_ps(dots[t], sums[t][chain]);
    }
}

template <int T> inline void panel_tokens(const PanelArgs &args, int first_token, int begin, int end) {
    float *sums = args.sums + size_t(first_token) * kTileRows;
    const uint8_t *tile = args.tiles + size_t(begin) * args.tile_stride;
    for (int g = begin; g < end; g++, tile += args.tile_stride) {
        float x[T * kGroup];
        for (int t = 0; t < T; t++) widen(args.rows[first_token + t], g, x + t * kGroup);
        for (int half = 0; half < kHalves; half++) {
            __m256 dots[T];
            half_dots<T>(half_codes(tile, half), x, dots);
            const __m256 scales = half_scales(tile, half);
            for (int t = 0; t < T; t++) {
                float *sum = sums + t * kTileRows + half * 8;
                const __m256 before = g == 0 ? _mm256_setzero_ps() : _mm256_loadu_ps(sum);
                _mm256_storeu_ps(sum, _mm256_fmadd_ps(dots[t], scales, before));
            }
        }
    }
}

void panel(const PanelArgs &args) {
    if (args.tokens == 1) return panel_tokens<1>(args, 0, 0, args.groups);
    for (int begin = 0; begin < args.groups; begin += kChunkGroups) {
        const int end = begin + kChunkGroups < args.groups ? begin + kChunkGroups : args.groups;
        int t = 0;
        for (; t + 4 <= args.tokens; t += 4) panel_tokens<4>(args, t, begin, end);
        if (args.tokens - t == 3) panel_tokens<3>(args, t, begin, end);
        if (args.tokens - t == 2) panel_tokens<2>(args, t, begin, end);
        if (args.tokens - t == 1) panel_tokens<1>(args, t, begin, end);
    }
}

void down(const DownArgs &args) {
    for (int t = 0; t < args.tokens; t++) {
        float x[kGroup];
        widen(args.groups[t], 0, x);
        const __m256 weight = _mm256_set1_ps(args.weights[t]);
        const uint8_t *tile = args.tiles;
        for (int i = 0; i < args.row_tiles; i++, tile += kTileBytes)
            for (int half = 0; half < kHalves; half++) {
                __m256 dots[1];
                half_dots<1>(half_codes(tile, half), x, dots);
                float *out = args.outputs[t] + i * kTileRows + half * 8;
                const __m256 factor = _mm256_mul_ps(half_scales(tile, half), weight);
                _mm256_storeu_ps(out, _mm256_fmadd_ps(dots[0], factor, _mm256_loadu_ps(out)));
            }
    }
}

} // namespace

const Kernels kAvx2Bf16 = {"avx2", "bf16", sizeof(Bf16Group), prepare, panel, panel, down, swiglu_avx2, add_scaled_avx2};

} // namespace ds4::ktb
