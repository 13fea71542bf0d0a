// Products of strips for any arithmetic of 512-bit vectors. The namespace is unnamed because each
// file that includes this is compiled for its own CPU.
//
// An Arithmetic has:
//    Token: what points at a prepared row of activations; token(task, i) gives the i-th one
//    kTileBytes: of a tile
//    add_tiles<T, B, kIsFirst>(place, tokens, sums): adds tiles of B strips times T tokens.
//    kIsFirst:
//       they come from memory and are stored codes; else they are what decode has left.
//    kDecodedBytes, decode(place, out): of a tile, and decodes tiles of one strip for many tokens;
//       0 if products read what is stored
#pragma once
#include "backend/cpu/kernels/intrinsics.h"
#include "backend/cpu/kernels/strips.h"

namespace ds4::cpu {
namespace {

// Products of many tokens take this many tiles of a pair of strips at a time, which stay in the
// first-level cache for all tokens.
constexpr int64_t kBlockTiles = 8;
constexpr int64_t kPanelTokens = 96;           // whose sums of a pair of strips lie on the stack
constexpr int kStripPair = 2, kMostTokens = 6; // of a micro-kernel, whose sums stay in registers

// Tiles [begin, end) of neighbouring strips.
struct Tiles {
    const uint8_t *first;  // tile 0 of the first strip
    const uint8_t *scales; // of the strips' rows, one per 128 inputs; F8_E4M3 only
    int64_t strip_bytes, begin, end;
    int64_t tokens; // rows of the prepared activations
};

inline void store_rows(const RowsTask &task, int64_t token, int64_t row, __m512 sum) {
    const int64_t left = task.row_end - row;
    const __mmask16 rows = left >= kStripRows ? __mmask16(0xffff) : __mmask16((1u << left) - 1);
    _mm512_mask_storeu_ps(task.y + token * task.y_stride + row, rows, sum);
}

template <class Arithmetic> struct StripPanels {
    using Token = typename Arithmetic::Token;

    static Tiles strips_from(const RowsTask &task, int64_t row) {
        const Matrix &weight = task.weight;
        const int64_t tiles = strip_tiles(weight.cols), bytes = tiles * Arithmetic::kTileBytes;
        const uint8_t *scales = weight.scales;
        if (scales != nullptr) scales += row / 128 * ((weight.cols + 127) / 128);
        return {weight.strips + row / kStripRows * bytes, scales, bytes, 0, tiles, task.x->count};
    }

    // All inputs of B strips from `row` on for the task's T tokens.
    template <int T, int B> static void whole_strips(const RowsTask &task, int64_t row) {
        Token x[T];
        __m512 sums[T][B];
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) {
            x[t] = Arithmetic::token(task, t);
#pragma GCC unroll 4
            for (int b = 0; b < B; b++) sums[t][b] = _mm512_setzero_ps();
        }
        Arithmetic::template add_tiles<T, B, true>(strips_from(task, row), x, sums);
#pragma GCC unroll 8
        for (int t = 0; t < T; t++)
#pragma GCC unroll 4
            for (int b = 0; b < B; b++) store_rows(task, t, row + b * kStripRows, sums[t][b]);
    }

    template <int B> static void few_tokens(const RowsTask &task, int64_t row) {
        switch (task.count) {
        case 1: return whole_strips<1, B>(task, row);
        case 2: return whole_strips<2, B>(task, row);
        case 3: return whole_strips<3, B>(task, row);
        case 4: return whole_strips<4, B>(task, row);
        case 5: return whole_strips<5, B>(task, row);
        default: return whole_strips<6, B>(task, row);
        }
    }

    // The sums of a pair of strips for the tokens of a panel.
    struct Panel {
        alignas(64) float sums[kPanelTokens][kStripPair * kStripRows];
        Token tokens[kPanelTokens];
        alignas(64) uint8_t
            decoded[kStripPair * kBlockTiles * Arithmetic::kDecodedBytes + 64]; // of a block
    };

    template <int T, int B> static void panel_block(Panel &panel, int token, const Tiles &place) {
        Token x[T];
        __m512 sums[T][B];
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) {
            x[t] = panel.tokens[token + t];
#pragma GCC unroll 4
            for (int b = 0; b < B; b++)
                sums[t][b] = place.begin == 0 ? _mm512_setzero_ps()
                                              : _mm512_load_ps(panel.sums[token + t] + b * 16);
        }
        Arithmetic::template add_tiles<T, B, false>(place, x, sums);
#pragma GCC unroll 8
        for (int t = 0; t < T; t++)
#pragma GCC unroll 4
            for (int b = 0; b < B; b++) _mm512_store_ps(panel.sums[token + t] + b * 16, sums[t][b]);
    }

    template <int B> static void panel_tokens(Panel &panel, int count, const Tiles &place) {
        const int calls = (count + kMostTokens - 1) / kMostTokens;
        for (int i = 0, token = 0; i < calls; i++) {
            const int taken = (count - token + calls - i - 1) / (calls - i);
            switch (taken) {
            case 1: panel_block<1, B>(panel, token, place); break;
            case 2: panel_block<2, B>(panel, token, place); break;
            case 3: panel_block<3, B>(panel, token, place); break;
            case 4: panel_block<4, B>(panel, token, place); break;
            case 5: panel_block<5, B>(panel, token, place); break;
            default: panel_block<6, B>(panel, token, place);
            }
            token += taken;
        }
    }

    template <int B>
    static void panel_strips(Panel &panel, const RowsTask &task, int64_t row, int64_t token,
                             int count) {
        Tiles place = strips_from(task, row);
        const int64_t tiles = place.end;
        for (; place.begin < tiles; place.begin = place.end) {
            place.end = place.begin + kBlockTiles < tiles ? place.begin + kBlockTiles : tiles;
            if constexpr (Arithmetic::kDecodedBytes == 0) {
                panel_tokens<B>(panel, count, place);
            } else {
                constexpr int64_t kBytes = kBlockTiles * Arithmetic::kDecodedBytes;
                for (int b = 0; b < B; b++)
                    Arithmetic::decode(place, b, panel.decoded + b * kBytes);
                Tiles decoded = place;
                decoded.first = panel.decoded, decoded.strip_bytes = kBytes;
                panel_tokens<B>(panel, count, decoded);
            }
        }
        for (int t = 0; t < count; t++)
            for (int b = 0; b < B; b++)
                store_rows(task, token + t, row + b * kStripRows,
                           _mm512_load_ps(panel.sums[t] + b * 16));
    }

    // Calls pair(row) and single(row) for all strips. A pair begins at a multiple of 32 rows, so
    // that its strips share the scales of 128 rows.
    template <class Pair, class Single>
    static void each_pair(const RowsTask &task, const Pair &pair, const Single &single) {
        for (int64_t row = task.row_begin; row < task.row_end;) {
            if (row % (kStripPair * kStripRows) == 0 && row + kStripRows < task.row_end)
                pair(row), row += kStripPair * kStripRows;
            else
                single(row), row += kStripRows;
        }
    }

    static void run(const RowsTask &task) {
        if (task.count <= kMostTokens)
            return each_pair(
                task, [&](int64_t row) { few_tokens<kStripPair>(task, row); },
                [&](int64_t row) { few_tokens<1>(task, row); });
        Panel panel;
        for (int64_t token = 0; token < task.count; token += kPanelTokens) {
            const int count =
                int(task.count - token < kPanelTokens ? task.count - token : kPanelTokens);
            for (int t = 0; t < count; t++) panel.tokens[t] = Arithmetic::token(task, token + t);
            each_pair(
                task,
                [&](int64_t row) { panel_strips<kStripPair>(panel, task, row, token, count); },
                [&](int64_t row) { panel_strips<1>(panel, task, row, token, count); });
        }
    }
};

} // namespace
} // namespace ds4::cpu
