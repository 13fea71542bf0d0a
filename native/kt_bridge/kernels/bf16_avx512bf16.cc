// bf16 activations with AVX-512 BF16. A 16-bit word of a code vector holds four nibbles; shifted by 0, 4, 8, 12 it
// indexes a word permute (table repeated, upper bits ignored) and gives the pairs (0,4), (1,5), (2,6), (3,7) of
// its eight inputs as bf16, which is exact.
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

constexpr int kRowBlocks = 4;
constexpr int kChunkGroups = 16;
constexpr int kGemmTokens = 8;
constexpr int kGemmGroups = 8;        // decoded block: 256 inputs x 64 rows, 32 KB
constexpr size_t kGroupBytes = 4096;  // of one decoded group
static_assert(kGemmGroups * kGroupBytes <= kPanelScratchBytes);

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
inline __m512i scale_bytes(const uint8_t *tile, int block) {
    return _mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i *>(tile + kTileCodeBytes + size_t(block) * 16)));
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

template <int T>
inline void panel_tokens(const PanelArgs &args, int first_token, int begin, int end) {
    const __m512i table = code_table();
    float *sums = args.sums + size_t(first_token) * kTileRows;
    __m512 total[T][kRowBlocks];
    for (int t = 0; t < T; t++)
        for (int b = 0; b < kRowBlocks; b++)
            total[t][b] = begin == 0 ? _mm512_setzero_ps() : _mm512_loadu_ps(sums + t * kTileRows + b * 16);
    const uint8_t *tile = args.tiles + size_t(begin) * args.tile_stride;
    for (int g = begin; g < end; g++, tile += args.tile_stride) {
#pragma GCC unroll 4
        for (int b = 0; b < kRowBlocks; b++) {
            __m512 even[T], odd[T]; // two chains hide the latency of the dot
            for (int t = 0; t < T; t++) even[t] = odd[t] = _mm512_setzero_ps();
#pragma GCC unroll 4
            for (int v = 0; v < 4; v++) {
                const __m512i codes = _mm512_load_si512(tile + (b * 4 + v) * 64);
                if (first_token == 0) prefetch_ahead(tile + kPrefetchTiles * args.tile_stride + (b * 4 + v) * 64);
                const __m512bh w0 = as_bf16(_mm512_permutexvar_epi16(codes, table));
                const __m512bh w1 = as_bf16(_mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 4), table));
                const __m512bh w2 = as_bf16(_mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 8), table));
                const __m512bh w3 = as_bf16(_mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 12), table));
#pragma GCC unroll 4
                for (int t = 0; t < T; t++) {
                    const uint8_t *row = args.rows[first_token + t];
                    even[t] = _mm512_dpbf16_ps(even[t], w0, broadcast_pair(row, g, v * 4));
                    odd[t] = _mm512_dpbf16_ps(odd[t], w1, broadcast_pair(row, g, v * 4 + 1));
                    even[t] = _mm512_dpbf16_ps(even[t], w2, broadcast_pair(row, g, v * 4 + 2));
                    odd[t] = _mm512_dpbf16_ps(odd[t], w3, broadcast_pair(row, g, v * 4 + 3));
                }
            }
            const __m512 scales = _mm512_castsi512_ps(_mm512_slli_epi32(scale_bytes(tile, b), 23));
            for (int t = 0; t < T; t++) total[t][b] = _mm512_fmadd_ps(_mm512_add_ps(even[t], odd[t]), scales, total[t][b]);
        }
    }
    for (int t = 0; t < T; t++)
        for (int b = 0; b < kRowBlocks; b++) _mm512_storeu_ps(sums + t * kTileRows + b * 16, total[t][b]);
}

// Decodes groups [begin, end) to scratch as [group][dword i of the prepared group][block] vectors of bf16 pairs with
// the scale folded into the exponent; zeros keep theirs.
inline void decode_block(const PanelArgs &args, int begin, int end) {
    const __m512i table = code_table(), magnitude = _mm512_set1_epi16(0x7fff), bias = _mm512_set1_epi32(127);
    uint8_t *out = args.scratch;
    for (int g = begin; g < end; g++, out += kGroupBytes) {
        const uint8_t *tile = args.tiles + size_t(g) * args.tile_stride;
        for (int b = 0; b < kRowBlocks; b++) {
            const __m512i shift = _mm512_slli_epi32(_mm512_sub_epi32(scale_bytes(tile, b), bias), 7);
            const __m512i added = _mm512_or_epi32(_mm512_slli_epi32(shift, 16), _mm512_and_epi32(shift, _mm512_set1_epi32(0xffff)));
            for (int v = 0; v < 4; v++) {
                prefetch_ahead(tile + kGemmGroups * args.tile_stride + (b * 4 + v) * 64);
                __m512i codes = _mm512_load_si512(tile + (b * 4 + v) * 64);
                for (int i = 0; i < 4; i++) {
                    const __m512i words = _mm512_permutexvar_epi16(codes, table);
                    const __mmask32 nonzero = _mm512_test_epi16_mask(words, magnitude);
                    _mm512_store_si512(out + ((v * 4 + i) * kRowBlocks + b) * 64, _mm512_mask_add_epi16(words, nonzero, words, added));
                    codes = _mm512_srli_epi16(codes, 4);
                }
            }
        }
    }
}

template <int T>
inline void sweep_tokens(const PanelArgs &args, int first_token, int begin, int end) {
    float *sums = args.sums + size_t(first_token) * kTileRows;
    __m512 total[T][kRowBlocks];
    const uint8_t *rows[T];
    for (int t = 0; t < T; t++) {
        rows[t] = args.rows[first_token + t] + size_t(begin) * sizeof(Bf16Group);
        for (int b = 0; b < kRowBlocks; b++)
            total[t][b] = begin == 0 ? _mm512_setzero_ps() : _mm512_loadu_ps(sums + t * kTileRows + b * 16);
    }
    const int pairs = (end - begin) * 16;
    const uint8_t *weights = args.scratch;
#pragma GCC unroll 2
    for (int i = 0; i < pairs; i++, weights += 256) {
        __m512bh block[kRowBlocks];
#pragma GCC unroll 4
        for (int b = 0; b < kRowBlocks; b++) block[b] = as_bf16(_mm512_load_si512(weights + b * 64));
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) {
            const __m512bh pair = broadcast_pair(rows[t], 0, i);
#pragma GCC unroll 4
            for (int b = 0; b < kRowBlocks; b++) total[t][b] = _mm512_dpbf16_ps(total[t][b], block[b], pair);
        }
    }
    for (int t = 0; t < T; t++)
        for (int b = 0; b < kRowBlocks; b++) _mm512_storeu_ps(sums + t * kTileRows + b * 16, total[t][b]);
}

void panel(const PanelArgs &args) {
    if (args.tokens == 1) return panel_tokens<1>(args, 0, 0, args.groups);
    const bool gemm = args.tokens >= kGemmTokens && args.scales_fold;
    const int step = gemm ? kGemmGroups : kChunkGroups;
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
        for (; t + 2 <= args.tokens; t += 2) panel_tokens<2>(args, t, begin, end); // three spill
        if (args.tokens - t == 1) panel_tokens<1>(args, t, begin, end);
    }
}

void down(const DownArgs &args) {
    const __m512i table = code_table();
    for (int t = 0; t < args.tokens; t++) {
        __m512bh pairs[16];
        for (int i = 0; i < 16; i++) pairs[i] = broadcast_pair(args.groups[t], 0, i);
        const __m512 weight = _mm512_set1_ps(args.weights[t]);
        const uint8_t *tile = args.tiles;
        for (int i = 0; i < args.row_tiles; i++, tile += kTileBytes) {
#pragma GCC unroll 4
            for (int b = 0; b < kRowBlocks; b++) {
                __m512 even = _mm512_setzero_ps(), odd = _mm512_setzero_ps();
#pragma GCC unroll 4
                for (int v = 0; v < 4; v++) {
                    const __m512i codes = _mm512_load_si512(tile + (b * 4 + v) * 64);
                    prefetch_ahead(tile + kPrefetchTiles * kTileBytes + (b * 4 + v) * 64);
                    even = _mm512_dpbf16_ps(even, as_bf16(_mm512_permutexvar_epi16(codes, table)), pairs[v * 4]);
                    odd = _mm512_dpbf16_ps(odd, as_bf16(_mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 4), table)), pairs[v * 4 + 1]);
                    even = _mm512_dpbf16_ps(even, as_bf16(_mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 8), table)), pairs[v * 4 + 2]);
                    odd = _mm512_dpbf16_ps(odd, as_bf16(_mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 12), table)), pairs[v * 4 + 3]);
                }
                const __m512 scales = _mm512_castsi512_ps(_mm512_slli_epi32(scale_bytes(tile, b), 23));
                float *out = args.outputs[t] + i * kTileRows + b * 16;
                const __m512 factor = _mm512_mul_ps(scales, weight);
                _mm512_storeu_ps(out, _mm512_fmadd_ps(_mm512_add_ps(even, odd), factor, _mm512_loadu_ps(out)));
            }
        }
    }
}

} // namespace

const Kernels kAvx512Bf16 = {"avx512", "bf16", sizeof(Bf16Group), prepare, panel, panel, down, swiglu_avx512, add_scaled_avx512};

} // namespace ds4::ktb
