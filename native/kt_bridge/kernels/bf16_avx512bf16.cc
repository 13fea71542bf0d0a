// bf16 activations with AVX-512 BF16. A 16-bit word of a code vector holds four nibbles; shifted by 0, 4, 8, 12 it
// indexes a word permute (table repeated, upper bits ignored) and gives the pairs (0,4), (1,5), (2,6), (3,7) of
// its eight inputs as bf16, which is exact. A group of a row is one chain of dot instructions from zero, which is then
// scaled and added: few tokens, many tokens and the down products give the same bits.
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

constexpr int kRowBlocks = 4;
constexpr int kBlockGroups = 16;
constexpr int kGemmTokens = 8;
constexpr int kGemmGroups = 8;                // decoded block: 256 inputs x 64 rows, 32 KB
constexpr size_t kGroupBytes = 4096;          // of one decoded group
constexpr size_t kScaleBytes = kTileRows * 4; // its scales as f32
static_assert(kGemmGroups * (kGroupBytes + kScaleBytes) <= kPanelScratchBytes);

inline void prefetch_ahead(const uint8_t *line) { _mm_prefetch(reinterpret_cast<const char *>(line), _MM_HINT_T0); }
inline __m512i code_table() {
    const __m256i words = _mm256_setr_epi16(0, 0x3f00, 0x3f80, 0x3fc0, 0x4000, 0x4040, 0x4080, 0x40c0, short(0x8000), short(0xbf00),
                                            short(0xbf80), short(0xbfc0), short(0xc000), short(0xc040), short(0xc080), short(0xc0c0));
    return _mm512_broadcast_i64x4(words);
}
inline __m512bh as_bf16(__m512i words) { return (__m512bh)words; }
inline __m512bh broadcast_pair(const uint8_t *row, int g, int i) {
    int32_t dword;
    __builtin_memcpy(&dword, row + size_t(g) * sizeof(Bf16Group) + size_t(i) * 4, 4);
    return as_bf16(_mm512_set1_epi32(dword));
}
inline __m512 block_scales(const uint8_t *tile, int block) {
    const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i *>(tile + kTileCodeBytes + size_t(block) * 16));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu8_epi32(bytes), 23));
}

void prepare(const float *x, int groups, uint8_t *out) {
    alignas(64) static constexpr int16_t kOrder[32] = {0,  4,  1,  5,  2,  6,  3,  7,  8,  12, 9,  13, 10, 14, 11, 15,
                                                       16, 20, 17, 21, 18, 22, 19, 23, 24, 28, 25, 29, 26, 30, 27, 31};
    const __m512i order = _mm512_load_si512(kOrder);
    for (int g = 0; g < groups; g++, x += kGroup) {
        const __m512i words = (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16), _mm512_loadu_ps(x));
        _mm512_storeu_si512(out + size_t(g) * sizeof(Bf16Group), _mm512_permutexvar_epi16(order, words));
    }
}

// Unscaled dots of one row block with group g of T tokens.
template <int T> inline void block_dots(const uint8_t *tile, int block, const uint8_t *const *rows, int g, __m512 (&dots)[T]) {
    const __m512i table = code_table();
    for (int t = 0; t < T; t++) dots[t] = _mm512_setzero_ps();
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) {
        const __m512i codes = _mm512_load_si512(tile + (block * 4 + v) * 64);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            const __m512bh weights = as_bf16(_mm512_permutexvar_epi16(_mm512_srli_epi16(codes, unsigned(i) * 4), table));
#pragma GCC unroll 4
            for (int t = 0; t < T; t++) dots[t] = _mm512_dpbf16_ps(dots[t], weights, broadcast_pair(rows[t], g, v * 4 + i));
        }
    }
}

// Groups [begin, end) of T tokens, continuing sums.
template <int T> inline void panel_tokens(const PanelArgs &args, int first_token, int begin, int end) {
    const uint8_t *const *rows = args.rows + first_token;
    float *sums = args.sums + size_t(first_token) * kTileRows;
    __m512 total[T][kRowBlocks];
    for (int t = 0; t < T; t++)
        for (int b = 0; b < kRowBlocks; b++)
            total[t][b] = begin == 0 ? _mm512_setzero_ps() : _mm512_loadu_ps(sums + t * kTileRows + b * 16);
    const uint8_t *tile = args.tiles + size_t(begin) * args.tile_stride;
    for (int g = begin; g < end; g++, tile += args.tile_stride) {
#pragma GCC unroll 4
        for (int b = 0; b < kRowBlocks; b++) {
            for (int v = 0; v < 4 && first_token == 0; v++) prefetch_ahead(tile + kPrefetchTiles * args.tile_stride + (b * 4 + v) * 64);
            __m512 dots[T];
            block_dots<T>(tile, b, rows, g, dots);
            const __m512 scales = block_scales(tile, b);
            for (int t = 0; t < T; t++) total[t][b] = _mm512_fmadd_ps(dots[t], scales, total[t][b]);
        }
    }
    for (int t = 0; t < T; t++)
        for (int b = 0; b < kRowBlocks; b++) _mm512_storeu_ps(sums + t * kTileRows + b * 16, total[t][b]);
}

// Decodes groups [begin, end) to scratch: [group][dword i of the prepared group][block] vectors of bf16 pairs, then
// [group][block] scales.
inline void decode_block(const PanelArgs &args, int begin, int end) {
    const __m512i table = code_table();
    uint8_t *out = args.scratch;
    float *scales = reinterpret_cast<float *>(args.scratch + kGemmGroups * kGroupBytes);
    for (int g = begin; g < end; g++, out += kGroupBytes) {
        const uint8_t *tile = args.tiles + size_t(g) * args.tile_stride;
        for (int b = 0; b < kRowBlocks; b++, scales += 16) {
            _mm512_store_ps(scales, block_scales(tile, b));
            for (int v = 0; v < 4; v++) {
                prefetch_ahead(tile + kGemmGroups * args.tile_stride + (b * 4 + v) * 64);
                __m512i codes = _mm512_load_si512(tile + (b * 4 + v) * 64);
                for (int i = 0; i < 4; i++) {
                    _mm512_store_si512(out + ((v * 4 + i) * kRowBlocks + b) * 64, _mm512_permutexvar_epi16(codes, table));
                    codes = _mm512_srli_epi16(codes, 4);
                }
            }
        }
    }
}

// T tokens x 64 rows over the decoded groups. The chains of a group take the registers; sums stay in L1.
template <int T> inline void sweep_tokens(const PanelArgs &args, int first_token, int begin, int end) {
    float *sums = args.sums + size_t(first_token) * kTileRows;
    const uint8_t *weights = args.scratch;
    const float *scales = reinterpret_cast<const float *>(args.scratch + kGemmGroups * kGroupBytes);
    for (int g = begin; g < end; g++, scales += kTileRows) {
        __m512 dots[T][kRowBlocks];
        for (int t = 0; t < T; t++)
            for (int b = 0; b < kRowBlocks; b++) dots[t][b] = _mm512_setzero_ps();
#pragma GCC unroll 4
        for (int i = 0; i < 16; i++, weights += 256) {
            __m512bh block[kRowBlocks];
#pragma GCC unroll 4
            for (int b = 0; b < kRowBlocks; b++) block[b] = as_bf16(_mm512_load_si512(weights + b * 64));
#pragma GCC unroll 4
            for (int t = 0; t < T; t++) {
                const __m512bh pair = broadcast_pair(args.rows[first_token + t], g, i);
#pragma GCC unroll 4
                for (int b = 0; b < kRowBlocks; b++) dots[t][b] = _mm512_dpbf16_ps(dots[t][b], block[b], pair);
            }
        }
        const __mmask16 continued = g == 0 ? 0 : 0xffff;
#pragma GCC unroll 4
        for (int t = 0; t < T; t++)
#pragma GCC unroll 4
            for (int b = 0; b < kRowBlocks; b++) {
                float *sum = sums + t * kTileRows + b * 16;
                _mm512_storeu_ps(sum, _mm512_fmadd_ps(dots[t][b], _mm512_load_ps(scales + b * 16), _mm512_maskz_loadu_ps(continued, sum)));
            }
    }
}

void panel(const PanelArgs &args) {
    if (args.tokens == 1) return panel_tokens<1>(args, 0, 0, args.groups);
    const bool gemm = args.tokens >= kGemmTokens;
    const int step = gemm ? kGemmGroups : kBlockGroups;
    for (int begin = 0; begin < args.groups; begin += step) {
        const int end = begin + step < args.groups ? begin + step : args.groups;
        int t = 0;
        if (gemm) {
            decode_block(args, begin, end);
            for (; t + 4 <= args.tokens; t += 4) sweep_tokens<4>(args, t, begin, end);
            if (args.tokens - t == 3) sweep_tokens<3>(args, t, begin, end);
            if (args.tokens - t == 2) sweep_tokens<2>(args, t, begin, end);
            if (args.tokens - t == 1) sweep_tokens<1>(args, t, begin, end);
            continue;
        }
        for (; t + 4 <= args.tokens; t += 4) panel_tokens<4>(args, t, begin, end);
        if (args.tokens - t == 3) panel_tokens<3>(args, t, begin, end);
        if (args.tokens - t == 2) panel_tokens<2>(args, t, begin, end);
        if (args.tokens - t == 1) panel_tokens<1>(args, t, begin, end);
    }
}

template <int T> inline void down_tokens(const DownArgs &args, int first_token) {
    const __mmask16 continued = args.first ? 0 : 0xffff;
    const uint8_t *tile = args.tiles;
    float *outputs[T];
    for (int t = 0; t < T; t++) outputs[t] = args.outputs[first_token + t];
    for (int i = 0; i < args.row_tiles; i++, tile += kTileBytes) {
#pragma GCC unroll 4
        for (int b = 0; b < kRowBlocks; b++) {
            for (int v = 0; v < 4; v++) prefetch_ahead(tile + kPrefetchTiles * kTileBytes + (b * 4 + v) * 64);
            __m512 dots[T];
            block_dots<T>(tile, b, args.groups + first_token, 0, dots);
            const __m512 scales = block_scales(tile, b);
            for (int t = 0; t < T; t++) {
                float *out = outputs[t] + i * kTileRows + b * 16;
                _mm512_storeu_ps(out, _mm512_fmadd_ps(dots[t], scales, _mm512_maskz_loadu_ps(continued, out)));
            }
        }
    }
}

void down(const DownArgs &args) {
    int t = 0;
    for (; t + 2 <= args.tokens; t += 2) down_tokens<2>(args, t);
    if (t < args.tokens) down_tokens<1>(args, t);
}

} // namespace

const Kernels kAvx512Bf16 = {"avx512", "bf16", sizeof(Bf16Group), prepare, panel, panel, down, swiglu_avx512, add_scaled_avx512, add_avx512};

} // namespace ds4::ktb
