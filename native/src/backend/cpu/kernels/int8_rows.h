// Products with int8 activations, for any instruction set: Ops supplies vectors, Decoder one weight
// type. The namespace is unnamed because each file that includes this is compiled for its own CPU.
//
// Order of summation of one dot product, the same for every tile: groups of 128 channels in
// increasing order. In a group every lane adds float(exact integer sum) * (weight scale *
// activation scale) with one fused multiply-add, then the minimums. At the end the lanes are added
// up in pairs.
#pragma once
#include "backend/cpu/kernels/groups.h"
#include "backend/cpu/kernels/operands.h"
#include "backend/cpu/kernels/row_kernels.h"
#include "backend/cpu/kernels/weight_rows.h"

namespace ds4::cpu {
namespace {

using TokenRow = const ActivationGroup *;

// Prefetches the same place R rows on, which this worker reads next. Without it the hardware
// prefetcher starts anew at every row: Q8_0 reaches 60 %, MXFP4 46 % of the read rate; with it
// above 80 %. Past the matrix it does nothing.
template <typename Decoder> inline void prefetch_next(const uint8_t *row, int64_t group) {
#pragma GCC unroll 8
    for (int offset = 0; offset < Decoder::kGroupBytes; offset += 64)
        __builtin_prefetch(row + group * Decoder::kGroupBytes + offset);
}

// R rows times T tokens with the weights decoded into registers, for one or two tokens.
template <typename Ops, typename Decoder, int R, int T>
inline void fused_tile(const RowsTask &task, const RowLayout &layout, int64_t row,
                       const TokenRow *tokens) {
    BlockRow rows[R];
    typename Ops::Lanes sums[R][T];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        rows[r] = block_row<Decoder>(layout, row + r);
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) sums[r][t] = Ops::zero();
    }
    const auto add_group = [&](int r, const typename Decoder::Codes &codes,
                               const typename Ops::Activation *x) __attribute__((always_inline)) {
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) sums[r][t] = Ops::accumulate(sums[r][t], codes, x[t]);
    };
    const auto activations = [&](int64_t group, typename Ops::Activation *x)
                                 __attribute__((always_inline)) {
#pragma GCC unroll 8
                                     for (int t = 0; t < T; t++)
                                         x[t] = Ops::activation(tokens[t][group]);
                                 };
    constexpr int kStep = Decoder::kStepGroups;
    for (int64_t group = 0; group < layout.full_groups; group += kStep) {
        typename Ops::Activation x[kStep][T];
#pragma GCC unroll 8
        for (int g = 0; g < kStep; g++) {
            activations(group + g, x[g]);
#pragma GCC unroll 8
            for (int r = 0; r < R; r++)
                prefetch_next<Decoder>(rows[r].data + R * layout.row_bytes, group + g);
        }
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            typename Decoder::Codes codes[kStep];
            load_whole_step<Decoder>(rows[r], group, codes);
#pragma GCC unroll 8
            for (int g = 0; g < kStep; g++) add_group(r, codes[g], x[g]);
        }
    }
    if constexpr (Decoder::kBlockBytes != 0)
        if (layout.tail_blocks != 0) {
            typename Ops::Activation x[T];
            activations(layout.full_groups, x);
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) add_group(r, load_tail<Decoder>(rows[r], layout), x);
        }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int t = 0; t < T; t++)
            task.y[t * task.y_stride + row + r] = Decoder::kResultFactor * Ops::total(sums[r][t]);
}

template <typename Ops, typename Decoder, int T>
void fused_rows(const RowsTask &task, const RowLayout &layout, const TokenRow *tokens) {
    int64_t row = task.row_begin;
    for (; row + 4 <= task.row_end; row += 4)
        fused_tile<Ops, Decoder, 4, T>(task, layout, row, tokens);
    for (; row < task.row_end; row++) fused_tile<Ops, Decoder, 1, T>(task, layout, row, tokens);
}

// Up to so many tokens are taken two at a time: the rows of a chunk stay in the second-level cache.
constexpr int kPairedTokens = 6;

template <typename Ops, typename Decoder>
void fused_pair(const RowsTask &task, const RowLayout &layout, int64_t first) {
    RowsTask part = task;
    part.y += first * task.y_stride;
    TokenRow tokens[2] = {token_groups(task, first)};
    if (first + 1 == task.count) return fused_rows<Ops, Decoder, 1>(part, layout, tokens);
    tokens[1] = token_groups(task, first + 1);
    fused_rows<Ops, Decoder, 2>(part, layout, tokens);
}

// For more tokens: decodes a panel of rows into scratch, some groups at a time, and multiplies it
// with all tokens.
constexpr int kPanelRows = 8;
constexpr int kPanelGroups = 16; // a multiple of every decoder's step
constexpr int kPanelTokens = 64;

template <typename Ops, typename Decoder> struct Panel {
    typename Decoder::Codes codes[kPanelRows][kPanelGroups];
    typename Ops::Lanes sums[kPanelRows][kPanelTokens];
    TokenRow tokens[kPanelTokens];
};

template <typename Ops, typename Decoder, int R, int T>
inline void panel_tile(Panel<Ops, Decoder> &panel, int row, int token, int64_t first_group,
                       int groups) {
    typename Ops::Lanes sums[R][T];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) sums[r][t] = panel.sums[row + r][token + t];
    TokenRow tokens[T];
#pragma GCC unroll 8
    for (int t = 0; t < T; t++) tokens[t] = panel.tokens[token + t];
    for (int g = 0; g < groups; g++) {
        typename Ops::Activation x[T];
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) x[t] = Ops::activation(tokens[t][first_group + g]);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++)
#pragma GCC unroll 8
            for (int t = 0; t < T; t++)
                sums[r][t] = Ops::accumulate(sums[r][t], panel.codes[row + r][g], x[t]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) panel.sums[row + r][token + t] = sums[r][t];
}

template <typename Ops, typename Decoder, int R>
inline void sweep_tokens(Panel<Ops, Decoder> &panel, int row, int count, int64_t first_group,
                         int groups) {
    int token = 0;
    for (; token + Ops::kInt8Tokens <= count; token += Ops::kInt8Tokens)
        panel_tile<Ops, Decoder, R, Ops::kInt8Tokens>(panel, row, token, first_group, groups);
    for (; token < count; token++)
        panel_tile<Ops, Decoder, R, 1>(panel, row, token, first_group, groups);
}

template <typename Ops, typename Decoder>
void panel_rows(Panel<Ops, Decoder> &panel, const RowsTask &task, const RowLayout &layout,
                const PanelPlace &place) {
    const int rows = place.rows, count = place.tokens;
    for (int t = 0; t < count; t++) panel.tokens[t] = token_groups(task, place.token + t);
    for (int r = 0; r < rows; r++)
        for (int t = 0; t < count; t++) panel.sums[r][t] = Ops::zero();
    for (int64_t first = 0; first < layout.groups; first += kPanelGroups) {
        const int groups =
            int(layout.groups - first < kPanelGroups ? layout.groups - first : kPanelGroups);
        for (int r = 0; r < rows; r++) {
            const BlockRow source = block_row<Decoder>(layout, place.row + r);
            for (int g = 0; g < groups; g += Decoder::kStepGroups)
                load_step<Decoder>(source, layout, first + g, &panel.codes[r][g]);
        }
        int r = 0;
        for (; r + Ops::kInt8Rows <= rows; r += Ops::kInt8Rows)
            sweep_tokens<Ops, Decoder, Ops::kInt8Rows>(panel, r, count, first, groups);
        for (; r < rows; r++) sweep_tokens<Ops, Decoder, 1>(panel, r, count, first, groups);
    }
    for (int t = 0; t < count; t++)
        for (int r = 0; r < rows; r++)
            task.y[(place.token + t) * task.y_stride + place.row + r] =
                Decoder::kResultFactor * Ops::total(panel.sums[r][t]);
}

template <typename Ops, typename Decoder> void rows_int8(const RowsTask &task) {
    const RowLayout layout = row_layout(task.weight);
    if (task.count <= kPairedTokens) {
        for (int64_t first = 0; first < task.count; first += 2)
            fused_pair<Ops, Decoder>(task, layout, first);
        return;
    }
    Panel<Ops, Decoder> panel;
    for (int64_t row = task.row_begin; row < task.row_end; row += kPanelRows) {
        const int rows = int(task.row_end - row < kPanelRows ? task.row_end - row : kPanelRows);
        for (int64_t token = 0; token < task.count; token += kPanelTokens) {
            const int tokens =
                int(task.count - token < kPanelTokens ? task.count - token : kPanelTokens);
            panel_rows(panel, task, layout, {row, token, rows, tokens});
        }
    }
}

} // namespace
} // namespace ds4::cpu
