// int8 activations with AVX-512 VNNI. A nibble becomes 2 * E2M1 + 12 (0..24) by a byte permute whose table is
// repeated four times, so that the upper index bits need no mask; a dot instruction adds four products of it with a
// broadcast dword of activations; the sum starts at -12 * sum of the activations.
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

constexpr int kRowBlocks = 4;
constexpr int kBlockGroups = 16;   // 17 KB of tiles stay in L1 while token blocks pass over them
constexpr int kGemmTokens = 40;    // from here on decoding to scratch pays (measured: equal at 32)
constexpr int kGemmGroups = 16;    // decoded block: 32 KB codes + 4 KB scales
static_assert(kGemmGroups * (2 * kTileCodeBytes + kTileRows * 4) <= kPanelScratchBytes);

inline void prefetch_ahead(const uint8_t *line) { _mm_prefetch(reinterpret_cast<const char *>(line), _MM_HINT_T0); }
inline __m512i code_table() {
    return _mm512_broadcast_i32x4(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
}
inline __m512i broadcast_dword(const int8_t *values) {
    int32_t dword;
    __builtin_memcpy(&dword, values, 4);
    return _mm512_set1_epi32(dword);
}
inline __m512 block_scales(const uint8_t *tile, int block) {
    const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i *>(tile + kTileCodeBytes + size_t(block) * 16));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu8_epi32(bytes), 23));
}
inline const Int8Group &group_at(const uint8_t *row, int g) { return reinterpret_cast<const Int8Group *>(row)[g]; }

void prepare(const float *x, int groups, uint8_t *out) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
    for (int g = 0; g < groups; g++, x += kGroup) {
        Int8Group &group = reinterpret_cast<Int8Group *>(out)[g];
        const __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
        const uint32_t largest = _mm512_reduce_max_epu32(_mm512_max_epu32(_mm512_and_epi32(_mm512_castps_si512(a), magnitude),
                                                                          _mm512_and_epi32(_mm512_castps_si512(b), magnitude)));
        const float amax = __builtin_bit_cast(float, largest);
        const bool finite = largest < 0x7f800000u, usable = finite && amax > 4e-37f; // 127 / amax stays finite
        const __m512 inverse = _mm512_set1_ps(usable ? 127.0f / amax : 0.0f);
        __m512i qa = _mm512_cvtps_epi32(_mm512_mul_ps(a, inverse)), qb = _mm512_cvtps_epi32(_mm512_mul_ps(b, inverse));
        if (!usable) qa = qb = _mm512_setzero_si512();
        _mm_storeu_si128(reinterpret_cast<__m128i *>(group.values), _mm_shuffle_epi8(_mm512_cvtepi32_epi8(qa), order));
        _mm_storeu_si128(reinterpret_cast<__m128i *>(group.values + 16), _mm_shuffle_epi8(_mm512_cvtepi32_epi8(qb), order));
        group.scale = finite ? (usable ? amax / 127.0f * 0.5f : 0.0f) : __builtin_nanf("");
        group.correction = -12 * _mm512_reduce_add_epi32(_mm512_add_epi32(qa, qb));
    }
}

// Adds groups [begin, end) of T tokens to sums (or starts them).
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
            __m512i dot[T];
#pragma GCC unroll 4
            for (int t = 0; t < T; t++) dot[t] = _mm512_set1_epi32(group_at(args.rows[first_token + t], g).correction);
#pragma GCC unroll 4
            for (int v = 0; v < 4; v++) {
                const __m512i codes = _mm512_load_si512(tile + (b * 4 + v) * 64);
                if (first_token == 0) prefetch_ahead(tile + kPrefetchTiles * args.tile_stride + (b * 4 + v) * 64);
                const __m512i low = _mm512_permutexvar_epi8(codes, table);
                const __m512i high = _mm512_permutexvar_epi8(_mm512_srli_epi16(codes, 4), table);
#pragma GCC unroll 4
                for (int t = 0; t < T; t++) {
                    const int8_t *values = group_at(args.rows[first_token + t], g).values + v * 8;
                    dot[t] = _mm512_dpbusd_epi32(dot[t], low, broadcast_dword(values));
                    dot[t] = _mm512_dpbusd_epi32(dot[t], high, broadcast_dword(values + 4));
                }
            }
            const __m512 scales = block_scales(tile, b);
#pragma GCC unroll 4
            for (int t = 0; t < T; t++) {
                const __m512 factor = _mm512_mul_ps(scales, _mm512_set1_ps(group_at(args.rows[first_token + t], g).scale));
                total[t][b] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[t]), factor, total[t][b]);
            }
        }
    }
    for (int t = 0; t < T; t++)
        for (int b = 0; b < kRowBlocks; b++) _mm512_storeu_ps(sums + t * kTileRows + b * 16, total[t][b]);
}

// Decodes groups [begin, end) to scratch: [group][block][v][low, high] code vectors, then [group][block] scales.
inline void decode_block(const PanelArgs &args, int begin, int end) {
    const __m512i table = code_table();
    uint8_t *codes = args.scratch;
    float *scales = reinterpret_cast<float *>(args.scratch + kGemmGroups * 2 * kTileCodeBytes);
    for (int g = begin; g < end; g++) {
        const uint8_t *tile = args.tiles + size_t(g) * args.tile_stride;
        for (int i = 0; i < 16; i++, codes += 128) {
            prefetch_ahead(tile + kGemmGroups * args.tile_stride + i * 64);
            const __m512i packed = _mm512_load_si512(tile + i * 64);
            _mm512_store_si512(codes, _mm512_permutexvar_epi8(packed, table));
            _mm512_store_si512(codes + 64, _mm512_permutexvar_epi8(_mm512_srli_epi16(packed, 4), table));
        }
        for (int b = 0; b < kRowBlocks; b++, scales += 16) _mm512_store_ps(scales, block_scales(tile, b));
    }
}

// T tokens x 64 rows over the decoded groups; the activations of a group stay in registers for its four row blocks.
template <int T>
inline void sweep_tokens(const PanelArgs &args, int first_token, int begin, int end) {
    const uint8_t *codes = args.scratch;
    const float *scales = reinterpret_cast<const float *>(args.scratch + kGemmGroups * 2 * kTileCodeBytes);
    float *sums = args.sums + size_t(first_token) * kTileRows;
    __m512 total[T][kRowBlocks];
    for (int t = 0; t < T; t++)
        for (int b = 0; b < kRowBlocks; b++)
            total[t][b] = begin == 0 ? _mm512_setzero_ps() : _mm512_loadu_ps(sums + t * kTileRows + b * 16);
    for (int g = begin; g < end; g++, codes += 2 * kTileCodeBytes, scales += kTileRows) {
        __m512i values[T][8];
#pragma GCC unroll 2
        for (int t = 0; t < T; t++)
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++) values[t][i] = broadcast_dword(group_at(args.rows[first_token + t], g).values + i * 4);
#pragma GCC unroll 4
        for (int b = 0; b < kRowBlocks; b++) {
            __m512i dot[T];
            for (int t = 0; t < T; t++) dot[t] = _mm512_set1_epi32(group_at(args.rows[first_token + t], g).correction);
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++) {
                const __m512i weights = _mm512_load_si512(codes + b * 512 + i * 64);
                for (int t = 0; t < T; t++) dot[t] = _mm512_dpbusd_epi32(dot[t], weights, values[t][i]);
            }
            const __m512 block = _mm512_load_ps(scales + b * 16);
            for (int t = 0; t < T; t++) {
                const __m512 factor = _mm512_mul_ps(block, _mm512_set1_ps(group_at(args.rows[first_token + t], g).scale));
                total[t][b] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[t]), factor, total[t][b]);
            }
        }
    }
    for (int t = 0; t < T; t++)
        for (int b = 0; b < kRowBlocks; b++) _mm512_storeu_ps(sums + t * kTileRows + b * 16, total[t][b]);
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
            for (; t + 2 <= args.tokens; t += 2) sweep_tokens<2>(args, t, begin, end);
            if (t < args.tokens) sweep_tokens<1>(args, t, begin, end);
            continue;
        }
        for (; t + 4 <= args.tokens; t += 4) panel_tokens<4>(args, t, begin, end);
        if (args.tokens - t == 3) panel_tokens<3>(args, t, begin, end);
        if (args.tokens - t == 2) panel_tokens<2>(args, t, begin, end);
        if (args.tokens - t == 1) panel_tokens<1>(args, t, begin, end);
    }
}

template <int T> inline void down_tokens(const DownArgs &args, int first_token) {
    const __m512i table = code_table();
    __m512i values[T][8], correction[T];
    __m512 group_scale[T];
    float *outputs[T];
    const __mmask16 continued = args.first ? 0 : 0xffff;
    for (int t = 0; t < T; t++) {
        const Int8Group &group = group_at(args.groups[first_token + t], 0);
        for (int i = 0; i < 8; i++) values[t][i] = broadcast_dword(group.values + i * 4);
        correction[t] = _mm512_set1_epi32(group.correction);
        group_scale[t] = _mm512_set1_ps(group.scale);
        outputs[t] = args.outputs[first_token + t];
    }
    const uint8_t *tile = args.tiles;
    for (int i = 0; i < args.row_tiles; i++, tile += kTileBytes) {
#pragma GCC unroll 4
        for (int b = 0; b < kRowBlocks; b++) {
            __m512i dot[T];
            for (int t = 0; t < T; t++) dot[t] = correction[t];
#pragma GCC unroll 4
            for (int v = 0; v < 4; v++) {
                const __m512i codes = _mm512_load_si512(tile + (b * 4 + v) * 64);
                prefetch_ahead(tile + kPrefetchTiles * kTileBytes + (b * 4 + v) * 64);
                const __m512i low = _mm512_permutexvar_epi8(codes, table);
                const __m512i high = _mm512_permutexvar_epi8(_mm512_srli_epi16(codes, 4), table);
                for (int t = 0; t < T; t++) {
                    dot[t] = _mm512_dpbusd_epi32(dot[t], low, values[t][v * 2]);
                    dot[t] = _mm512_dpbusd_epi32(dot[t], high, values[t][v * 2 + 1]);
                }
            }
            const __m512 scales = block_scales(tile, b);
            for (int t = 0; t < T; t++) {
                float *out = outputs[t] + i * kTileRows + b * 16;
                const __m512 factor = _mm512_mul_ps(scales, group_scale[t]);
                _mm512_storeu_ps(out, _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[t]), factor, _mm512_maskz_loadu_ps(continued, out)));
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

const Kernels kAvx512Int8 = {"avx512", "int8", sizeof(Int8Group), prepare, panel, panel, down, swiglu_avx512, add_scaled_avx512, add_avx512};

} // namespace ds4::ktb
