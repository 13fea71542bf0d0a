// The loops of AVX-512 panel and down kernels over tiles of MXFP4, written over an Arithmetic:
//   kGroupBytes          bytes of a prepared group
//   is_exact(tile)       whether the tile may take a short form; it depends on the tile alone,
//   because
//                        the forms may differ in bits
//   add<T, B>(tile, block, groups, exact, sums)
//                        multiplies row blocks block .. block + B of a tile by one group of each of
//                        T tokens and adds to sums, in the short form where `exact`
//
// A micro-kernel is T tokens x B row blocks whose sums stay in registers, because stores of 64
// bytes slow dot instructions down (Zen 4). Up to three tokens take all four row blocks of a tile.
// More tokens take two row blocks, so that up to six tokens share decoded weights. Decoding them
// again costs less than keeping them in memory.
#pragma once
#include <immintrin.h>

#include "kernels/micro_kernel_blocks.h"

namespace ds4::ktb {
namespace {

constexpr int kRowBlocks = 4; // of a tile, 16 rows each
constexpr int kWideTokens = 3, kMicroKernelTokens = 6;

template <int T, int B> using Sums = __m512[T][B];

inline int row_blocks_of(int tokens) { return tokens <= kWideTokens ? kRowBlocks : kRowBlocks / 2; }

inline void prefetch_activations(const uint8_t *line) {
    _mm_prefetch(reinterpret_cast<const char *>(line), _MM_HINT_T0);
}

template <class Arithmetic> struct PanelMicroKernels {
    // Groups [begin, end) of tokens first .. first + T. kChecks: asks for every tile whether it is
    // exact; else all are.
    template <int T, int B, bool kChecks>
    static void micro_kernel(const PanelArgs &args, int first, int block, int begin, int end,
                             const Lines &prefetch) {
        float *const out = args.sums + size_t(first) * kTileRows + size_t(block) * 16;
        Sums<T, B> sums;
#pragma GCC unroll 8
        for (int t = 0; t < T; t++)
#pragma GCC unroll 4
            for (int b = 0; b < B; b++)
                sums[t][b] = begin == 0 ? _mm512_setzero_ps()
                                        : _mm512_loadu_ps(out + t * kTileRows + b * 16);
        const uint8_t *tile = args.tiles + size_t(begin) * args.tile_stride;
        for (int g = begin; g < end; g++, tile += args.tile_stride) {
            const uint8_t *groups[T];
#pragma GCC unroll 8
            for (int t = 0; t < T; t++)
                groups[t] = args.rows[first + t] + size_t(g) * Arithmetic::kGroupBytes;
            const uint8_t *const prefetched = args.prefetch_tile(tile, g);
            for (int line = prefetch.begin; line < prefetch.end; line++)
                prefetch_weights(prefetched + line * 64);
            Arithmetic::template add<T, B>(tile, block, groups,
                                           !kChecks || Arithmetic::is_exact(tile), sums);
        }
#pragma GCC unroll 8
        for (int t = 0; t < T; t++)
#pragma GCC unroll 4
            for (int b = 0; b < B; b++) _mm512_storeu_ps(out + t * kTileRows + b * 16, sums[t][b]);
    }

    template <bool kChecks>
    static void run_tokens(const PanelArgs &args, int first, int tokens, int block, int begin,
                           int end, const Lines &prefetch) {
        switch (tokens) {
        case 1: return micro_kernel<1, 4, kChecks>(args, first, block, begin, end, prefetch);
        case 2: return micro_kernel<2, 4, kChecks>(args, first, block, begin, end, prefetch);
        case 3: return micro_kernel<3, 4, kChecks>(args, first, block, begin, end, prefetch);
        case 4: return micro_kernel<4, 2, kChecks>(args, first, block, begin, end, prefetch);
        case 5: return micro_kernel<5, 2, kChecks>(args, first, block, begin, end, prefetch);
        default: return micro_kernel<6, 2, kChecks>(args, first, block, begin, end, prefetch);
        }
    }

    static void panel(const PanelArgs &args) {
        // Written out, because calls through run_tokens slow the micro-kernels of four tokens down.
        switch (args.tokens) {
        case 1: return micro_kernel<1, 4, true>(args, 0, 0, 0, args.groups, {0, kTileLines});
        case 2: return micro_kernel<2, 4, true>(args, 0, 0, 0, args.groups, {0, kTileLines});
        case 3: return micro_kernel<3, 4, true>(args, 0, 0, 0, args.groups, {0, kTileLines});
        default: return panel_in_blocks(args);
        }
    }

    struct TokenBlock { // tokens of one micro-kernel
        int tokens;
        int step;          // row blocks of one micro-kernel
        Lines prefetch[2]; // the share of each of its calls
    };
    // All tokens of a panel. Divisions are slow, so that they are made once and not for each block.
    struct TokenBlocks {
        explicit TokenBlocks(int tokens)
            : count((tokens + kMicroKernelTokens - 1) / kMicroKernelTokens) {
            for (int i = 0, first = 0; i < count; first += list[i++].tokens) {
                const int from = kTileLines * i / count, to = kTileLines * (i + 1) / count,
                          taken = (tokens - first + count - i - 1) / (count - i),
                          step = row_blocks_of(taken);
                const int half = step == kRowBlocks ? to : (from + to) / 2;
                list[i] = {taken, step, {{from, half}, {half, to}}};
            }
        }
        int count;
        TokenBlock list[(kPanelTokens + kMicroKernelTokens - 1) / kMicroKernelTokens];
    };

    static void panel_in_blocks(const PanelArgs &args) {
        const TokenBlocks blocks(args.tokens);
        for (int begin = 0; begin < args.groups; begin += kBlockGroups)
            run_block(args, blocks, begin, block_end(args, begin));
    }

    // Groups [begin, end) of all tokens.
    static void run_block(const PanelArgs &args, const TokenBlocks &blocks, int begin, int end) {
        const bool exact = are_exact(args, begin, end);
        for (int i = 0, first = 0; i < blocks.count; first += blocks.list[i++].tokens) {
            const TokenBlock &tokens = blocks.list[i];
            prefetch_next(args, first + tokens.tokens, begin, end);
            for (int block = 0; block < kRowBlocks; block += tokens.step) {
                if (exact)
                    run_tokens<false>(args, first, tokens.tokens, block, begin, end,
                                      tokens.prefetch[block / 2]);
                else
                    run_tokens<true>(args, first, tokens.tokens, block, begin, end,
                                     tokens.prefetch[block / 2]);
            }
        }
    }

    static bool are_exact(const PanelArgs &args, int begin, int end) {
        for (int g = begin; g < end; g++)
            if (!Arithmetic::is_exact(args.tiles + size_t(g) * args.tile_stride)) return false;
        return true;
    }

    // Prefetches groups [begin, end) of the next micro-kernel's tokens, because the shared cache is
    // slow to deliver them.
    static void prefetch_next(const PanelArgs &args, int first, int begin, int end) {
        for (int t = first; t < first + kMicroKernelTokens && t < args.tokens; t++)
            for (size_t at = size_t(begin) * Arithmetic::kGroupBytes;
                 at < size_t(end) * Arithmetic::kGroupBytes; at += 64)
                prefetch_activations(args.rows[t] + at);
    }

    template <int T, bool kStarts> static void down_tokens(const DownArgs &args, int first) {
        const uint8_t *groups[T];
        float *outputs[T];
#pragma GCC unroll 4
        for (int t = 0; t < T; t++)
            groups[t] = args.groups[first + t], outputs[t] = args.outputs[first + t];
        const uint8_t *tile = args.tiles;
        for (int i = 0; i < args.row_tiles; i++, tile += kTileBytes) {
#pragma GCC unroll 17
            for (int line = 0; line < kTileLines; line++)
                prefetch_weights(tile + kPrefetchTiles * kTileBytes + line * 64);
            Sums<T, kRowBlocks> sums;
#pragma GCC unroll 4
            for (int t = 0; t < T; t++)
#pragma GCC unroll 4
                // A masked load would wait until the store before it has reached the cache.
                for (int b = 0; b < kRowBlocks; b++)
                    sums[t][b] =
                        kStarts ? _mm512_setzero_ps() : _mm512_loadu_ps(outputs[t] + b * 16);
            Arithmetic::template add<T, kRowBlocks>(tile, 0, groups, Arithmetic::is_exact(tile),
                                                    sums);
#pragma GCC unroll 4
            for (int t = 0; t < T; t++) {
#pragma GCC unroll 4
                for (int b = 0; b < kRowBlocks; b++)
                    _mm512_storeu_ps(outputs[t] + b * 16, sums[t][b]);
                outputs[t] += kTileRows;
            }
        }
    }

    template <bool kStarts> static void down_from(const DownArgs &args) {
        for (int t = 0; t < args.tokens; t += kWideTokens) switch (args.tokens - t) {
            case 1: down_tokens<1, kStarts>(args, t); break;
            case 2: down_tokens<2, kStarts>(args, t); break;
            default: down_tokens<kWideTokens, kStarts>(args, t);
            }
    }
    static void down(const DownArgs &args) {
        args.first ? down_from<true>(args) : down_from<false>(args);
    }
};

} // namespace
} // namespace ds4::ktb
