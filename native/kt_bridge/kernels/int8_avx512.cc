// int8 activations with AVX-512 VNNI. A dot instruction adds four products of bytes, one of them unsigned, the other
// signed, and both operands have signs: one gets an offset, and the sum starts at minus what the offset adds.
//
// Weights get it, 2 * E2M1 + 12 (0..24), and the sum starts at -12 * sum of the activations; they are decoded for every
// sweep. Or activations have it, q + 128, so that the start depends on the weights alone: where decoding takes ports from
// the dots, weights are decoded once for all tokens, with their starts.
//
// A sum becomes a float by its bits: as an integer added to the bits of C = 1.5 * 2^(23 + exponent of the scale) it is the
// float C + sum * scale. Minus C, times the group's scale. Both forms give the same bits, and those of a conversion,
// because all but the last addition is exact.
#include "kernels/panel_sweeps.h"
#include "kernels/stages.h"

namespace ds4::ktb {
namespace {

// A byte permute's table is repeated four times, so that the upper index bits need no mask.
inline __m512i offset_table() {
    return _mm512_broadcast_i32x4(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
}
inline __m512i signed_table() {
    return _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12));
}
inline __m512i broadcast_dword(const void *values) {
    int32_t dword;
    __builtin_memcpy(&dword, values, 4);
    return _mm512_set1_epi32(dword);
}
inline __m512i block_exponents(const uint8_t *tile, int block) {
    return _mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i *>(tile + kTileCodeBytes + size_t(block) * 16)));
}
inline __m512i block_minuends(const uint8_t *tile, int block) { // C
    return _mm512_add_epi32(_mm512_slli_epi32(block_exponents(tile, block), 23), _mm512_set1_epi32((23 << 23) + 0x400000));
}
inline __m512 scaled_sum(__m512i bits, __m512i minuend, float group_scale, __m512 sum) {
    const __m512 scaled = _mm512_sub_ps(_mm512_castsi512_ps(bits), _mm512_castsi512_ps(minuend));
    return _mm512_fmadd_ps(scaled, _mm512_set1_ps(group_scale), sum);
}
inline const Int8Group &group_at(const uint8_t *row) { return *reinterpret_cast<const Int8Group *>(row); }

struct Int8Arithmetic {
    static constexpr size_t kGroupBytes = sizeof(Int8Group);

    // Whether every scale of a tile times any sum is a normal float, and so is C: scales 1 to 230.
    static bool is_exact(const uint8_t *tile) {
        const __m512i less = _mm512_sub_epi8(_mm512_load_si512(tile + kTileCodeBytes), _mm512_set1_epi8(1));
        return _mm512_cmpgt_epu8_mask(less, _mm512_set1_epi8(char(229))) == 0;
    }

    // The T x B chains advance together: one after the other they would wait for the latency of the dot instruction.
    template <int T, int B>
    [[gnu::always_inline]] static inline void add(const uint8_t *tile, int block, const uint8_t *const (&groups)[T], bool exact, Sums<T, B> &sums) {
        const __m512i table = offset_table();
        const uint8_t *const first = tile + size_t(block) * 256;
        __m512i dots[T][B];
#pragma GCC unroll 8
        for (int t = 0; t < T; t++)
#pragma GCC unroll 4
            for (int b = 0; b < B; b++) dots[t][b] = _mm512_set1_epi32(group_at(groups[t]).correction);
        constexpr int kAtOnce = 2 * T * B + 2 * B + 3 <= 32 ? 2 : 1; // nibbles of a code vector decoded while there are registers
#pragma GCC unroll 8
        for (int i = 0; i < 8; i += kAtOnce) {
            __m512i weights[kAtOnce][B];
#pragma GCC unroll 4
            for (int b = 0; b < B; b++) {
                const __m512i codes = _mm512_load_si512(first + (b * 4 + i / 2) * 64);
#pragma GCC unroll 2
                for (int k = 0; k < kAtOnce; k++) weights[k][b] = _mm512_permutexvar_epi8((i + k) % 2 == 0 ? codes : _mm512_srli_epi16(codes, 4), table);
            }
#pragma GCC unroll 8
            for (int t = 0; t < T; t++)
#pragma GCC unroll 2
                for (int k = 0; k < kAtOnce; k++) {
                    const __m512i values = broadcast_dword(group_at(groups[t]).values + (i + k) * 4);
#pragma GCC unroll 4
                    for (int b = 0; b < B; b++) dots[t][b] = _mm512_dpbusd_epi32(dots[t][b], weights[k][b], values);
                }
        }
        if (__builtin_expect(exact, true)) {
#pragma GCC unroll 4
            for (int b = 0; b < B; b++) {
                const __m512i minuend = block_minuends(tile, block + b);
#pragma GCC unroll 8
                for (int t = 0; t < T; t++) sums[t][b] = scaled_sum(_mm512_add_epi32(dots[t][b], minuend), minuend, group_at(groups[t]).scale, sums[t][b]);
            }
            return;
        }
#pragma GCC unroll 4
        for (int b = 0; b < B; b++) {
            const __m512 scales = _mm512_castsi512_ps(_mm512_slli_epi32(block_exponents(tile, block + b), 23));
#pragma GCC unroll 8
            for (int t = 0; t < T; t++)
                sums[t][b] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[t][b]), _mm512_mul_ps(scales, _mm512_set1_ps(group_at(groups[t]).scale)), sums[t][b]);
        }
    }
};

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

// ---- weights that are decoded once ----

constexpr int kMostDecodingTokens = 6; // up to which sweeps decode for themselves; below, one does it for all
constexpr int kKeptTokens = 4;         // of a sweep over kept weights: its sums lie in memory
// A kept group: [low, high of vector v][block] signed weights, then [block] starts of the sums, then [block] C.
constexpr size_t kKeptBytes = 2 * kTileCodeBytes + 2 * kTileRows * 4;
constexpr size_t kKeptValues = kBlockGroups * kKeptBytes; // offset of the activations + 128: [token of the sweep][group][32]
static_assert(kKeptValues + kKeptTokens * kBlockGroups * kGroup <= kPanelScratchBytes);

void keep(const uint8_t *tile, uint8_t *kept) {
    const __m512i table = signed_table(), offset = _mm512_set1_epi8(char(0x80));
    uint8_t *const starts = kept + 2 * kTileCodeBytes, *const minuends = starts + kTileRows * 4;
#pragma GCC unroll 4
    for (int b = 0; b < kRowBlocks; b++) {
        __m512i sum = _mm512_setzero_si512(); // of eight weights: -96..96
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            const __m512i codes = _mm512_load_si512(tile + (b * 4 + v) * 64);
            const __m512i low = _mm512_permutexvar_epi8(codes, table), high = _mm512_permutexvar_epi8(_mm512_srli_epi16(codes, 4), table);
            _mm512_store_si512(kept + (size_t(v) * 2 * kRowBlocks + size_t(b)) * 64, low);
            _mm512_store_si512(kept + ((size_t(v) * 2 + 1) * kRowBlocks + size_t(b)) * 64, high);
            sum = _mm512_add_epi8(sum, _mm512_add_epi8(low, high));
        }
        const __m512i minuend = block_minuends(tile, b);
        _mm512_store_si512(starts + b * 64, _mm512_sub_epi32(minuend, _mm512_dpbusd_epi32(_mm512_setzero_si512(), offset, sum)));
        _mm512_store_si512(minuends + b * 64, minuend);
    }
}

// A compiler that folds the load into every use makes it as many loads.
[[gnu::always_inline]] inline void keep_in_register(__m512i &value) { __asm__("" : "+v"(value)); }

template <int T> void sweep_kept(const PanelArgs &args, int first, int begin, int end, const Lines &ahead) {
    uint8_t *const values = args.scratch + kKeptValues;
    const __m256i offset = _mm256_set1_epi8(char(0x80));
    for (int t = 0; t < T; t++)
        for (int g = begin; g < end; g++) {
            const __m256i group = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(args.rows[first + t] + size_t(g) * sizeof(Int8Group)));
            _mm256_store_si256(reinterpret_cast<__m256i *>(values + size_t(t * kBlockGroups + g - begin) * kGroup), _mm256_xor_si256(group, offset));
        }
    float *sums[T];
    const uint8_t *groups[T];
#pragma GCC unroll 4
    for (int t = 0; t < T; t++) sums[t] = args.sums + size_t(first + t) * kTileRows, groups[t] = args.rows[first + t] + size_t(begin) * sizeof(Int8Group);
    const uint8_t *kept = args.scratch, *four = values;
    for (int g = begin; g < end; g++, kept += kKeptBytes, four += kGroup) {
        const uint8_t *const starts = kept + 2 * kTileCodeBytes, *const minuends = starts + kTileRows * 4;
        for (int line = ahead.begin; line < ahead.end; line++) prefetch_weights(args.tiles + size_t(g) * args.tile_stride + args.ahead + line * 64);
        __m512i dots[T][kRowBlocks];
#pragma GCC unroll 4
        for (int b = 0; b < kRowBlocks; b++)
#pragma GCC unroll 4
            for (int t = 0; t < T; t++) dots[t][b] = _mm512_load_si512(starts + b * 64);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            __m512i weights[kRowBlocks];
#pragma GCC unroll 4
            for (int b = 0; b < kRowBlocks; b++) {
                weights[b] = _mm512_load_si512(kept + (i * kRowBlocks + b) * 64);
                keep_in_register(weights[b]);
            }
#pragma GCC unroll 4
            for (int t = 0; t < T; t++) {
                const __m512i inputs = broadcast_dword(four + t * kBlockGroups * kGroup + i * 4);
#pragma GCC unroll 4
                for (int b = 0; b < kRowBlocks; b++) dots[t][b] = _mm512_dpbusd_epi32(dots[t][b], inputs, weights[b]);
            }
        }
#pragma GCC unroll 4
        for (int b = 0; b < kRowBlocks; b++) {
            const __m512i minuend = _mm512_load_si512(minuends + b * 64);
#pragma GCC unroll 4
            for (int t = 0; t < T; t++) {
                float *const sum = sums[t] + b * 16;
                const float scale = group_at(groups[t]).scale;
                _mm512_storeu_ps(sum, scaled_sum(dots[t][b], minuend, scale, _mm512_loadu_ps(sum)));
            }
        }
#pragma GCC unroll 4
        for (int t = 0; t < T; t++) groups[t] += sizeof(Int8Group);
    }
}

using Sweeps = PanelSweeps<Int8Arithmetic>;

void panel_keeping(const PanelArgs &args) {
    if (args.tokens <= kMostDecodingTokens || !Sweeps::are_exact(args, 0, args.groups)) return Sweeps::panel(args);
    for (int i = 0; i < args.tokens * kTileRows; i += 16) _mm512_storeu_ps(args.sums + i, _mm512_setzero_ps());
    const int sweeps = (args.tokens + kKeptTokens - 1) / kKeptTokens;
    for (int begin = 0; begin < args.groups; begin += kBlockGroups) {
        const int end = begin + kBlockGroups < args.groups ? begin + kBlockGroups : args.groups;
        for (int g = begin; g < end; g++) keep(args.tiles + size_t(g) * args.tile_stride, args.scratch + size_t(g - begin) * kKeptBytes);
        for (int i = 0, first = 0; i < sweeps; i++, first += kKeptTokens) {
            const Lines ahead{kTileLines * i / sweeps, kTileLines * (i + 1) / sweeps};
            Sweeps::prefetch_next(args, first + kKeptTokens, begin, end);
            switch (args.tokens - first) {
            case 1: sweep_kept<1>(args, first, begin, end, ahead); break;
            case 2: sweep_kept<2>(args, first, begin, end, ahead); break;
            case 3: sweep_kept<3>(args, first, begin, end, ahead); break;
            default: sweep_kept<kKeptTokens>(args, first, begin, end, ahead);
            }
        }
    }
}

} // namespace

const Kernels kAvx512Int8 = {"avx512", "int8", sizeof(Int8Group), prepare, panel_keeping, panel_keeping, Sweeps::down, swiglu_avx512, add_scaled_avx512, add_avx512};
const Kernels kAvx512Int8Decoding = {"avx512", "int8", sizeof(Int8Group), prepare, Sweeps::panel, Sweeps::panel, Sweeps::down, swiglu_avx512, add_scaled_avx512, add_avx512};

} // namespace ds4::ktb
