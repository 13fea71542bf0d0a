// Products with f32 activations and exactly decoded weights, for any instruction set.
//
// Order of summation of one dot product, the same for every tile: element i goes to lane i % width
// by a fused multiply-add, i increasing. Lanes are added up in pairs. Then the elements past the
// last whole vector are added one by one.
#pragma once
#include "backend/cpu/kernels/row_kernels.h"
#include "backend/cpu/kernels/weight_rows.h"
#include "format/byte_values.h"

namespace ds4::cpu {
namespace {

// A dense type has:
//    kBytes of an element, and kScaleBytes of a scale (0: none)
//    load(row, i): one vector; load_one(row, i): one element
//    load_vectors(row, i): kVectors vectors within 128 elements, i a multiple of them
//
// A row of a dense type. scales: F8_E4M3 only, the row's own, one per 128 channels.
struct DenseRow {
    const uint8_t *data, *scales;
};

// The scale of channel i of a row, E8M0 or f32.
template <typename Scale> inline float scale_of(const DenseRow &row, int64_t i);
template <> inline float scale_of<uint8_t>(const DenseRow &row, int64_t i) {
    return kE8m0Values.of[row.scales[i / 128]];
}
template <> inline float scale_of<float>(const DenseRow &row, int64_t i) {
    float scale;
    __builtin_memcpy(&scale, row.scales + i / 128 * 4, sizeof scale);
    return scale;
}

template <typename Dense> inline DenseRow dense_row(const RowLayout &layout, int64_t row) {
    const Matrix &weight = *layout.weight;
    const int64_t scale_row = row / 128 * ((weight.cols + 127) / 128) * Dense::kScaleBytes;
    return {weight.data + row * layout.row_bytes,
            Dense::kScaleBytes != 0 ? weight.scales + scale_row : nullptr};
}

// R rows times T tokens from `first` on, with weights read directly from memory.
template <typename Ops, typename Dense, int R, int T>
inline void dense_tile(const RowsTask &task, const RowLayout &layout, int64_t first, int64_t row) {
    const int64_t cols = task.weight.cols;
    DenseRow rows[R];
    const float *x[T];
    typename Ops::Lanes sums[R][T];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) rows[r] = dense_row<Dense>(layout, row + r);
#pragma GCC unroll 8
    for (int t = 0; t < T; t++) x[t] = token_values(task, first + t);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) sums[r][t] = Ops::zero();
    int64_t i = 0;
    for (; i + Dense::kVectors * Ops::kWidth <= cols; i += Dense::kVectors * Ops::kWidth)
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            __builtin_prefetch(rows[r].data + R * layout.row_bytes + i * Dense::kBytes);
            typename Ops::Lanes weights[Dense::kVectors];
            Dense::load_vectors(rows[r], i, weights);
#pragma GCC unroll 8
            for (int v = 0; v < Dense::kVectors; v++)
#pragma GCC unroll 8
                for (int t = 0; t < T; t++)
                    sums[r][t] =
                        Ops::fma(weights[v], Ops::load(x[t] + i + v * Ops::kWidth), sums[r][t]);
        }
    for (; i + Ops::kWidth <= cols; i += Ops::kWidth)
        for (int r = 0; r < R; r++) {
            const typename Ops::Lanes weight = Dense::load(rows[r], i);
            for (int t = 0; t < T; t++)
                sums[r][t] = Ops::fma(weight, Ops::load(x[t] + i), sums[r][t]);
        }
    for (int r = 0; r < R; r++)
        for (int t = 0; t < T; t++) {
            float sum = Ops::total(sums[r][t]);
            for (int64_t j = i; j < cols; j++)
                sum = __builtin_fmaf(Dense::load_one(rows[r], j), x[t][j], sum);
            task.y[(first + t) * task.y_stride + row + r] = sum;
        }
}

template <typename Ops, typename Dense, int T>
void dense_rows(const RowsTask &task, const RowLayout &layout, int64_t first) {
    int64_t row = task.row_begin;
    for (; row + 4 <= task.row_end; row += 4)
        dense_tile<Ops, Dense, 4, T>(task, layout, first, row);
    for (; row < task.row_end; row++) dense_tile<Ops, Dense, 1, T>(task, layout, first, row);
}

// Decodes channels [first, first + count) of a row into scratch. `first` is a multiple of the
// group.
template <typename Ops, typename Dense> struct DenseSource {
    static inline void decode(const RowLayout &layout, int64_t row, int64_t first, int64_t count,
                              float *out) {
        const DenseRow place = dense_row<Dense>(layout, row);
        int64_t i = 0;
        for (; i + Dense::kVectors * Ops::kWidth <= count; i += Dense::kVectors * Ops::kWidth) {
            typename Ops::Lanes weights[Dense::kVectors];
            Dense::load_vectors(place, first + i, weights);
#pragma GCC unroll 8
            for (int v = 0; v < Dense::kVectors; v++)
                Ops::store(out + i + v * Ops::kWidth, weights[v]);
        }
        for (; i + Ops::kWidth <= count; i += Ops::kWidth)
            Ops::store(out + i, Dense::load(place, first + i));
        for (; i < count; i++) out[i] = Dense::load_one(place, first + i);
    }
};

template <typename Ops, typename Decoder> struct BlockSource {
    static inline void decode(const RowLayout &layout, int64_t row, int64_t first, int64_t count,
                              float *out) {
        const BlockRow place = block_row<Decoder>(layout, row);
        for (int64_t i = 0; i < count; i += Decoder::kStepGroups * kGroupChannels) {
            typename Decoder::Codes codes[Decoder::kStepGroups];
            load_step<Decoder>(place, layout, (first + i) / kGroupChannels, codes);
            for (int g = 0; g < Decoder::kStepGroups; g++)
                Ops::store_group(out + i + g * kGroupChannels, codes[g], Decoder::kResultFactor);
        }
    }
};

// Decodes a panel of rows into scratch, some channels at a time, and multiplies it with all tokens.
constexpr int kScratchRows = 8;
constexpr int kScratchChannels = 512;
constexpr int kScratchTokens = 64;

template <typename Ops> struct Scratch {
    alignas(64) float weights[kScratchRows][kScratchChannels];
    typename Ops::Lanes sums[kScratchRows][kScratchTokens];
    const float *x[kScratchTokens];
};

template <typename Ops, int R, int T>
inline void scratch_tile(Scratch<Ops> &scratch, int row, int token, int64_t first, int64_t count) {
    typename Ops::Lanes sums[R][T];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) sums[r][t] = scratch.sums[row + r][token + t];
    for (int64_t i = 0; i + Ops::kWidth <= count; i += Ops::kWidth) {
        typename Ops::Lanes values[T];
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) values[t] = Ops::load(scratch.x[token + t] + first + i);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            const typename Ops::Lanes weight = Ops::load(&scratch.weights[row + r][i]);
#pragma GCC unroll 8
            for (int t = 0; t < T; t++) sums[r][t] = Ops::fma(weight, values[t], sums[r][t]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) scratch.sums[row + r][token + t] = sums[r][t];
}

template <typename Ops, int R>
inline void sweep_scratch(Scratch<Ops> &scratch, int row, int tokens, int64_t first,
                          int64_t count) {
    int token = 0;
    for (; token + Ops::kTileTokens <= tokens; token += Ops::kTileTokens)
        scratch_tile<Ops, R, Ops::kTileTokens>(scratch, row, token, first, count);
    for (; token < tokens; token++) scratch_tile<Ops, R, 1>(scratch, row, token, first, count);
}

template <typename Ops, typename Source>
void scratch_rows(Scratch<Ops> &scratch, const RowsTask &task, const RowLayout &layout,
                  const PanelPlace &place) {
    const int64_t cols = task.weight.cols;
    const int rows = place.rows, tokens = place.tokens;
    for (int t = 0; t < tokens; t++) scratch.x[t] = token_values(task, place.token + t);
    for (int r = 0; r < rows; r++)
        for (int t = 0; t < tokens; t++) scratch.sums[r][t] = Ops::zero();
    int64_t last = 0;
    for (int64_t first = 0; first < cols; first += kScratchChannels) {
        const int64_t count = cols - first < kScratchChannels ? cols - first : kScratchChannels;
        for (int r = 0; r < rows; r++)
            Source::decode(layout, place.row + r, first, count, scratch.weights[r]);
        int r = 0;
        for (; r + Ops::kTileRows <= rows; r += Ops::kTileRows)
            sweep_scratch<Ops, Ops::kTileRows>(scratch, r, tokens, first, count);
        for (; r < rows; r++) sweep_scratch<Ops, 1>(scratch, r, tokens, first, count);
        last = first;
    }
    const int64_t whole = cols / Ops::kWidth * Ops::kWidth;
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < rows; r++) {
            float sum = Ops::total(scratch.sums[r][t]);
            for (int64_t j = whole; j < cols; j++)
                sum = __builtin_fmaf(scratch.weights[r][j - last], scratch.x[t][j], sum);
            task.y[(place.token + t) * task.y_stride + place.row + r] = sum;
        }
}

template <typename Ops, typename Source>
void rows_through_scratch(const RowsTask &task, const RowLayout &layout) {
    Scratch<Ops> scratch;
    // With one token only the four rows of a tile share anything, and they fit the first-level
    // cache better.
    const int step = task.count == 1 ? 4 : kScratchRows;
    for (int64_t row = task.row_begin; row < task.row_end; row += step) {
        const int rows = int(task.row_end - row < step ? task.row_end - row : step);
        for (int64_t token = 0; token < task.count; token += kScratchTokens) {
            const int tokens =
                int(task.count - token < kScratchTokens ? task.count - token : kScratchTokens);
            scratch_rows<Ops, Source>(scratch, task, layout, {row, token, rows, tokens});
        }
    }
}

// Up to so many tokens read the weights where they are, a tile of tokens at a time. The rows of a
// chunk stay in the second-level cache for the next tile.
constexpr int kFewTokens = 6;

template <typename Ops, typename Dense> void rows_f32_dense(const RowsTask &task) {
    const RowLayout layout = row_layout(task.weight);
    if (task.count > kFewTokens)
        return rows_through_scratch<Ops, DenseSource<Ops, Dense>>(task, layout);
    constexpr int kTokens = Ops::kTileTokens;
    int64_t first = 0;
    for (; first + kTokens <= task.count; first += kTokens)
        dense_rows<Ops, Dense, kTokens>(task, layout, first);
    if constexpr (kTokens > 3)
        if (task.count - first == 3) return dense_rows<Ops, Dense, 3>(task, layout, first);
    if constexpr (kTokens > 2)
        if (task.count - first == 2) return dense_rows<Ops, Dense, 2>(task, layout, first);
    if (task.count > first) dense_rows<Ops, Dense, 1>(task, layout, first);
}

template <typename Ops, typename Decoder> void rows_f32_block(const RowsTask &task) {
    rows_through_scratch<Ops, BlockSource<Ops, Decoder>>(task, row_layout(task.weight));
}

} // namespace
} // namespace ds4::cpu
