// int8 activations with AVX2: byte shuffle to 2 * E2M1 + 12, maddubs with the activations. Four products of at most
// 24 * 127 * 2 are summed in 16 bits (24384 < 32767) before they widen.
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

constexpr int kHalves = 8;       // half row blocks of 8 rows
constexpr int kBlockGroups = 16; // 17 KB of tiles stay in L1 while token blocks pass over them

// Both lines of half a row block.
inline void prefetch_ahead(const uint8_t *line) {
    _mm_prefetch(reinterpret_cast<const char *>(line), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char *>(line + 64), _MM_HINT_T0);
}
inline __m256i code_table() {
    return _mm256_broadcastsi128_si256(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
}
inline __m256i broadcast_dword(const int8_t *values) {
    int32_t dword;
    __builtin_memcpy(&dword, values, 4);
    return _mm256_set1_epi32(dword);
}
inline const uint8_t *half_codes(const uint8_t *tile, int half) { return tile + (half / 2) * 256 + (half % 2) * 32; }
inline __m256 half_scales(const uint8_t *tile, int half) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(tile + kTileCodeBytes + size_t(half) * 8));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu8_epi32(bytes), 23));
}
inline const Int8Group &group_at(const uint8_t *row, int g) { return reinterpret_cast<const Int8Group *>(row)[g]; }

void prepare(const float *x, int groups, uint8_t *out) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    const __m256i order = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15));
    for (int g = 0; g < groups; g++, x += kGroup) {
        Int8Group &group = reinterpret_cast<Int8Group *>(out)[g];
        __m256 part[4];
        __m256i largest = _mm256_setzero_si256();
        for (int i = 0; i < 4; i++) {
            part[i] = _mm256_loadu_ps(x + i * 8);
            largest = _mm256_max_epu32(largest, _mm256_and_si256(_mm256_castps_si256(part[i]), magnitude));
        }
        __m128i top = _mm_max_epu32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
        top = _mm_max_epu32(top, _mm_shuffle_epi32(top, 0x4e));
        top = _mm_max_epu32(top, _mm_shuffle_epi32(top, 0xb1));
        const uint32_t bits = uint32_t(_mm_cvtsi128_si32(top));
        const float amax = __builtin_bit_cast(float, bits);
        const bool finite = bits < 0x7f800000u, usable = finite && amax > 4e-37f; // 127 / amax stays finite
        const __m256 inverse = _mm256_set1_ps(usable ? 127.0f / amax : 0.0f);
        __m256i q[4];
        __m256i sums = _mm256_setzero_si256();
        for (int i = 0; i < 4; i++) {
            q[i] = usable ? _mm256_cvtps_epi32(_mm256_mul_ps(part[i], inverse)) : _mm256_setzero_si256();
            sums = _mm256_add_epi32(sums, q[i]);
        }
        // packing interleaves the halves of the registers: the dword permute restores the order
        __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
        bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(group.values), _mm256_shuffle_epi8(bytes, order));
        __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
        sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
        sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
        group.scale = finite ? (usable ? amax / 127.0f * 0.5f : 0.0f) : __builtin_nanf("");
        group.correction = -12 * _mm_cvtsi128_si32(sum);
    }
}

// Exact integer dots of 8 rows with one group of T tokens. values[t]: 8 broadcast dwords.
template <int T> inline void half_dots(const uint8_t *codes, const Int8Group *const *groups, __m256i *dots) {
    const __m256i table = code_table(), mask = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
#pragma GCC unroll 2
    for (int pair = 0; pair < 2; pair++) {
        __m256i words[T];
#pragma GCC unroll 2
        for (int v = 0; v < 2; v++) {
            const __m256i packed = _mm256_load_si256(reinterpret_cast<const __m256i *>(codes + (pair * 2 + v) * 64));
            const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(packed, mask));
            const __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(packed, 4), mask));
#pragma GCC unroll 4
            for (int t = 0; t < T; t++) {
                const int8_t *values = groups[t]->values + (pair * 2 + v) * 8;
                const __m256i sum = _mm256_add_epi16(_mm256_maddubs_epi16(low, broadcast_dword(values)),
                                                     _mm256_maddubs_epi16(high, broadcast_dword(values + 4)));
                words[t] = v == 0 ? sum : _mm256_add_epi16(words[t], sum);
            }
        }
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) {
            const __m256i wide = _mm256_madd_epi16(words[t], ones);
            dots[t] = _mm256_add_epi32(pair == 0 ? _mm256_set1_epi32(groups[t]->correction) : dots[t], wide);
        }
    }
}

template <int T> inline void panel_tokens(const PanelArgs &args, int first_token, int begin, int end) {
    float *sums = args.sums + size_t(first_token) * kTileRows;
    const uint8_t *tile = args.tiles + size_t(begin) * args.tile_stride;
    for (int g = begin; g < end; g++, tile += args.tile_stride) {
        const Int8Group *groups[T];
        for (int t = 0; t < T; t++) groups[t] = &group_at(args.rows[first_token + t], g);
        for (int half = 0; half < kHalves; half++) {
            __m256i dots[T];
            if (first_token == 0) prefetch_ahead(tile + args.ahead + half * 128);
            half_dots<T>(half_codes(tile, half), groups, dots);
            const __m256 scales = half_scales(tile, half);
            for (int t = 0; t < T; t++) {
                float *sum = sums + t * kTileRows + half * 8;
                const __m256 before = g == 0 ? _mm256_setzero_ps() : _mm256_loadu_ps(sum);
                const __m256 factor = _mm256_mul_ps(scales, _mm256_set1_ps(groups[t]->scale));
                _mm256_storeu_ps(sum, _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[t]), factor, before));
            }
        }
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
    const Int8Group *groups[T];
    for (int t = 0; t < T; t++) groups[t] = &group_at(args.groups[first_token + t], 0);
    const uint8_t *tile = args.tiles;
    for (int i = 0; i < args.row_tiles; i++, tile += kTileBytes)
        for (int half = 0; half < kHalves; half++) {
            __m256i dots[T];
            prefetch_ahead(tile + kPrefetchTiles * kTileBytes + half * 128);
            half_dots<T>(half_codes(tile, half), groups, dots);
            const __m256 scales = half_scales(tile, half);
            for (int t = 0; t < T; t++) {
                float *out = args.outputs[first_token + t] + i * kTileRows + half * 8;
                const __m256 factor = _mm256_mul_ps(scales, _mm256_set1_ps(groups[t]->scale));
                const __m256 before = args.first ? _mm256_setzero_ps() : _mm256_loadu_ps(out);
                _mm256_storeu_ps(out, _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[t]), factor, before));
            }
        }
}

void down(const DownArgs &args) {
    int t = 0;
    for (; t + 4 <= args.tokens; t += 4) down_tokens<4>(args, t);
    for (; t < args.tokens; t++) down_tokens<1>(args, t);
}

} // namespace

const Kernels kAvx2Int8 = {"avx2", "int8", sizeof(Int8Group), prepare, panel, panel, down, swiglu_avx2, add_scaled_avx2, add_avx2};

} // namespace ds4::ktb
