// The loops of AVX2 panel and down kernels over tiles of MXFP4. Activations are integers of kDigits
// signed bytes: x = 2 * scale * sum over d of values[d] * 128^d. Weights are looked up as 2 * E2M1
// + 12 (0..24). One instruction multiplies 32 unsigned bytes by 32 signed ones and adds neighbours.
// The dot of a group is an exact integer.
//
// Sums of products stay in 16 bits while they fit: |24 * 127 * 2| * 4 with one digit of 8 bits.
// With digits of 7 bits a whole group fits: |24 * 64 * 2| * 8.
//
// A micro-kernel is T tokens x N half row blocks of 8 rows, whose sums stay in registers over a
// block of groups. Two half row blocks share the broadcasts of activations, which limit a core as
// much as multiplications do.
#pragma once
#include <immintrin.h>

#include "kernels/digit_groups.h"
#include "kernels/micro_kernel_blocks.h"

namespace ds4::ktb {
namespace {

constexpr int kHalves = 8; // half row blocks of a tile
// Bytes of a tile's weights that are decoded once for all micro-kernels over a block. Their layout
// is [half][part 0..7], each 8 rows x 4 inputs.
constexpr size_t kDecodedBytes = 2 * kTileCodeBytes;
static_assert(kBlockGroups * kDecodedBytes <= kPanelScratchBytes);

// Tokens and half row blocks of a micro-kernel, as many as 16 registers hold. With three digits,
// one decoded weight serves few products. Weights are then decoded once when there is more than one
// micro-kernel.
template <int kDigits> struct MicroKernelShape;
template <> struct MicroKernelShape<1> {
    static constexpr int kTokens = 4, kHalvesAtOnce = 2;
    static constexpr bool kDecodesOnce = false;
};
template <> struct MicroKernelShape<3> {
    static constexpr int kTokens = 2, kHalvesAtOnce = 2;
    static constexpr bool kDecodesOnce = true;
};

template <int T, int N> using HalfSums = __m256[T][N];

inline const uint8_t *half_codes(const uint8_t *tile, int half) {
    return tile + (half / 2) * 256 + (half % 2) * 32;
}
inline __m256 half_scales(const uint8_t *tile, int half) {
    const __m128i bytes = _mm_loadl_epi64(
        reinterpret_cast<const __m128i *>(tile + kTileCodeBytes + size_t(half) * 8));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu8_epi32(bytes), 23));
}
inline __m256i broadcast_dword(const void *dword) {
    return _mm256_castps_si256(_mm256_broadcast_ss(static_cast<const float *>(dword)));
}
// Without this the compiler reorders the additions of a chain and runs out of registers.
[[gnu::always_inline]] inline void keep_in_order(__m256i &value) { __asm__("" : "+x"(value)); }

// Part i of 8 rows: inputs 4i..4i+3 in the group's order.
[[gnu::always_inline]] inline __m256i decoded_part(const uint8_t *codes, int i) {
    // The table is in memory, so that the compiler may read it again where registers are scarce.
    alignas(32) static constexpr uint8_t kTable[32] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10,
                                                       9,  8,  6,  4,  0,  12, 13, 14, 15, 16, 18,
                                                       20, 24, 12, 11, 10, 9,  8,  6,  4,  0};
    const __m256i table = _mm256_load_si256(reinterpret_cast<const __m256i *>(kTable));
    const __m256i packed =
        _mm256_load_si256(reinterpret_cast<const __m256i *>(codes + (i / 2) * 64));
    return _mm256_shuffle_epi8(
        table,
        _mm256_and_si256(i % 2 == 0 ? packed : _mm256_srli_epi16(packed, 4), _mm256_set1_epi8(15)));
}

template <int kDigits> struct DigitMicroKernels {
    using Group = DigitGroup<kDigits>;
    static constexpr int kMicroKernelTokens = MicroKernelShape<kDigits>::kTokens,
                         kStep = MicroKernelShape<kDigits>::kHalvesAtOnce;
    static constexpr int kWordParts = kDigits == 1 ? 4 : 8; // added up in 16 bits

    static const Group &group_at(const uint8_t *row) {
        return *reinterpret_cast<const Group *>(row);
    }

    // decoded: null, or the decoded weights of the tile.
    template <int T, int N, bool kDecoded>
    [[gnu::always_inline]] static inline void add(const uint8_t *tile, const uint8_t *decoded,
                                                  int half, const uint8_t *const (&groups)[T],
                                                  HalfSums<T, N> &sums) {
        __m256i dots[T][N];
#pragma GCC unroll 2
        for (int first = 0; first < 8; first += kWordParts) {
            __m256i words[T][N][kDigits];
#pragma GCC unroll 8
            for (int i = 0; i < kWordParts; i++) {
                __m256i weights[N];
#pragma GCC unroll 2
                for (int n = 0; n < N; n++) {
                    if (kDecoded)
                        weights[n] = _mm256_load_si256(reinterpret_cast<const __m256i *>(decoded) +
                                                       (half + n) * 8 + first + i);
                    else
                        weights[n] = decoded_part(half_codes(tile, half + n), first + i);
                    if (kDecoded) keep_in_order(weights[n]);
                }
#pragma GCC unroll 8
                for (int t = 0; t < T; t++)
#pragma GCC unroll 3
                    for (int d = 0; d < kDigits; d++) {
                        const __m256i values =
                            broadcast_dword(group_at(groups[t]).values[d] + (first + i) * 4);
#pragma GCC unroll 2
                        for (int n = 0; n < N; n++) {
                            const __m256i products = _mm256_maddubs_epi16(weights[n], values);
                            words[t][n][d] =
                                i == 0 ? products : _mm256_add_epi16(words[t][n][d], products);
                            keep_in_order(words[t][n][d]);
                        }
                    }
            }
#pragma GCC unroll 8
            for (int t = 0; t < T; t++)
#pragma GCC unroll 2
                for (int n = 0; n < N; n++) {
                    if (first == 0) dots[t][n] = broadcast_dword(&group_at(groups[t]).correction);
#pragma GCC unroll 3
                    for (int d = 0; d < kDigits; d++)
                        dots[t][n] = _mm256_add_epi32(
                            dots[t][n], _mm256_madd_epi16(words[t][n][d],
                                                          _mm256_set1_epi16(short(1 << 7 * d))));
                }
        }
#pragma GCC unroll 2
        for (int n = 0; n < N; n++) {
            const __m256 scales = half_scales(tile, half + n);
#pragma GCC unroll 8
            for (int t = 0; t < T; t++)
                sums[t][n] = _mm256_fmadd_ps(
                    _mm256_cvtepi32_ps(dots[t][n]),
                    _mm256_mul_ps(scales, _mm256_broadcast_ss(&group_at(groups[t]).scale)),
                    sums[t][n]);
        }
    }

    // Groups [begin, end) of tokens first .. first + T. Inlining this into its caller's loops would
    // cost it registers.
    template <int T, bool kDecoded>
    [[gnu::noinline]] static void micro_kernel(const PanelArgs &args, int first, int half,
                                               int begin, int end, const Lines &prefetch) {
        float *const out = args.sums + size_t(first) * kTileRows + size_t(half) * 8;
        HalfSums<T, kStep> sums;
#pragma GCC unroll 8
        for (int t = 0; t < T; t++)
#pragma GCC unroll 2
            for (int n = 0; n < kStep; n++)
                sums[t][n] =
                    begin == 0 ? _mm256_setzero_ps() : _mm256_loadu_ps(out + t * kTileRows + n * 8);
        const uint8_t *groups[T];
#pragma GCC unroll 8
        for (int t = 0; t < T; t++)
            groups[t] = args.rows[first + t] + size_t(begin) * sizeof(Group);
        const uint8_t *tile = args.tiles + size_t(begin) * args.tile_stride,
                      *decoded = args.scratch;
        for (int g = begin; g < end; g++, tile += args.tile_stride, decoded += kDecodedBytes) {
            for (int line = prefetch.begin; line < prefetch.end; line++)
                prefetch_weights(args.prefetch_tile(tile, g) + line * 64);
            add<T, kStep, kDecoded>(tile, decoded, half, groups, sums);
#pragma GCC unroll 8
            for (int t = 0; t < T; t++) groups[t] += sizeof(Group);
        }
#pragma GCC unroll 8
        for (int t = 0; t < T; t++)
#pragma GCC unroll 2
            for (int n = 0; n < kStep; n++)
                _mm256_storeu_ps(out + t * kTileRows + n * 8, sums[t][n]);
    }

    template <bool kDecoded>
    static void run_tokens(const PanelArgs &args, int first, int tokens, int half, int begin,
                           int end, const Lines &prefetch) {
        if (tokens == 1) return micro_kernel<1, kDecoded>(args, first, half, begin, end, prefetch);
        if (tokens == 2) return micro_kernel<2, kDecoded>(args, first, half, begin, end, prefetch);
        if constexpr (kMicroKernelTokens > 2) {
            if (tokens == 3)
                return micro_kernel<3, kDecoded>(args, first, half, begin, end, prefetch);
            return micro_kernel<4, kDecoded>(args, first, half, begin, end, prefetch);
        }
    }

    static void decode_block(const PanelArgs &args, int begin, int end) {
        __m256i *decoded = reinterpret_cast<__m256i *>(args.scratch);
        for (int g = begin; g < end; g++)
            for (int half = 0; half < kHalves; half++, decoded += 8)
#pragma GCC unroll 8
                for (int i = 0; i < 8; i++)
                    _mm256_store_si256(
                        decoded + i,
                        decoded_part(half_codes(args.tiles + size_t(g) * args.tile_stride, half),
                                     i));
    }

    template <bool kDecoded>
    static void run_block(const PanelArgs &args, int calls, int begin, int end) {
        if (kDecoded) decode_block(args, begin, end);
        for (int i = 0, first = 0; i < calls; i++) {
            const int tokens = (args.tokens - first + calls - i - 1) / (calls - i);
            for (int half = 0; half < kHalves; half += kStep) { // each pass prefetches its share
                const int pass = i * kHalves + half, passes = calls * kHalves;
                run_tokens<kDecoded>(
                    args, first, tokens, half, begin, end,
                    {kTileLines * pass / passes, kTileLines * (pass + kStep) / passes});
            }
            first += tokens;
        }
    }

    static void panel(const PanelArgs &args) {
        const int calls = (args.tokens + kMicroKernelTokens - 1) / kMicroKernelTokens;
        for (int begin = 0; begin < args.groups; begin += kBlockGroups) {
            const int end = block_end(args, begin);
            if (MicroKernelShape<kDigits>::kDecodesOnce && calls > 1)
                run_block<MicroKernelShape<kDigits>::kDecodesOnce>(args, calls, begin, end);
            else
                run_block<false>(args, calls, begin, end);
        }
    }

    template <int T, bool kStarts> static void down_tokens(const DownArgs &args, int first) {
        const uint8_t *groups[T];
        float *outputs[T];
#pragma GCC unroll 4
        for (int t = 0; t < T; t++)
            groups[t] = args.groups[first + t], outputs[t] = args.outputs[first + t];
        const uint8_t *tile = args.tiles;
        for (int i = 0; i < args.row_tiles; i++, tile += kTileBytes)
            for (int half = 0; half < kHalves; half += kStep) {
                const uint8_t *const ahead = tile + kPrefetchTiles * kTileBytes +
                                             half * (kTileBytes / kHalves); // 17 lines in all
#pragma GCC unroll 4
                for (int line = 0; line <= 2 * kStep; line++) prefetch_weights(ahead + line * 64);
                HalfSums<T, kStep> sums;
#pragma GCC unroll 4
                for (int t = 0; t < T; t++)
#pragma GCC unroll 2
                    for (int n = 0; n < kStep; n++)
                        sums[t][n] =
                            kStarts ? _mm256_setzero_ps() : _mm256_loadu_ps(outputs[t] + n * 8);
                add<T, kStep, false>(tile, nullptr, half, groups, sums);
#pragma GCC unroll 4
                for (int t = 0; t < T; t++) {
#pragma GCC unroll 2
                    for (int n = 0; n < kStep; n++)
                        _mm256_storeu_ps(outputs[t] + n * 8, sums[t][n]);
                    outputs[t] += kStep * 8;
                }
            }
    }

    template <bool kStarts> static void down_from(const DownArgs &args) {
        for (int t = 0; t < args.tokens; t += kMicroKernelTokens) {
            const int tokens = args.tokens - t;
            if (tokens == 1)
                down_tokens<1, kStarts>(args, t);
            else if (tokens == 2 || kMicroKernelTokens == 2)
                down_tokens<2, kStarts>(args, t);
            else if (tokens == 3)
                down_tokens<3, kStarts>(args, t);
            else
                down_tokens<4, kStarts>(args, t);
        }
    }
    static void down(const DownArgs &args) {
        args.first ? down_from<true>(args) : down_from<false>(args);
    }
};

} // namespace
} // namespace ds4::ktb
