// VectorKernels for any instruction set. The namespace is unnamed because each file that includes
// this is compiled for its own CPU. Sums run as in f32_rows.h: lanes, then pairs, then the elements
// past the last whole vector.
#pragma once
#include "backend/cpu/kernels/vector_kernels.h"
#include "base/exp_minus.h"

namespace ds4::cpu {
namespace {

// Sums of R x T products of rows of n; s[t * s_stride + r].
template <typename Ops, int R, int T>
inline void dot_tile(float *s, int64_t s_stride, const float *q, const float *k, int64_t n) {
    typename Ops::Lanes sums[R][T];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) sums[r][t] = Ops::zero();
    int64_t i = 0;
    for (; i + Ops::kWidth <= n; i += Ops::kWidth) {
        typename Ops::Lanes values[T];
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) values[t] = Ops::load(q + t * n + i);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            const typename Ops::Lanes row = Ops::load(k + r * n + i);
#pragma GCC unroll 8
            for (int t = 0; t < T; t++) sums[r][t] = Ops::fma(row, values[t], sums[r][t]);
        }
    }
    for (int r = 0; r < R; r++)
        for (int t = 0; t < T; t++) {
            float sum = Ops::total(sums[r][t]);
            for (int64_t j = i; j < n; j++) sum = __builtin_fmaf(k[r * n + j], q[t * n + j], sum);
            s[t * s_stride + r] = sum;
        }
}

// Four independent partial vectors, so that a long sum is not bound by the latency of one addition.
template <typename Ops> float dot(const float *a, const float *b, int64_t n) {
    typename Ops::Lanes sums[4] = {Ops::zero(), Ops::zero(), Ops::zero(), Ops::zero()};
    constexpr int64_t kStep = 4 * Ops::kWidth;
    int64_t i = 0;
    for (; i + kStep <= n; i += kStep)
#pragma GCC unroll 4
        for (int part = 0; part < 4; part++) {
            const int64_t at = i + part * Ops::kWidth;
            sums[part] = Ops::fma(Ops::load(a + at), Ops::load(b + at), sums[part]);
        }
    for (; i + Ops::kWidth <= n; i += Ops::kWidth)
        sums[0] = Ops::fma(Ops::load(a + i), Ops::load(b + i), sums[0]);
    float sum = Ops::total(Ops::add(Ops::add(sums[0], sums[1]), Ops::add(sums[2], sums[3])));
    for (; i < n; i++) sum = __builtin_fmaf(a[i], b[i], sum);
    return sum;
}

template <typename Ops> float sum_squares(const float *x, int64_t n) { return dot<Ops>(x, x, n); }

template <typename Ops> void add_scaled(float *y, float a, const float *x, int64_t n) {
    const typename Ops::Lanes factor = Ops::all(a);
    int64_t i = 0;
    for (; i + Ops::kWidth <= n; i += Ops::kWidth)
        Ops::store(y + i, Ops::fma(factor, Ops::load(x + i), Ops::load(y + i)));
    for (; i < n; i++) y[i] = __builtin_fmaf(a, x[i], y[i]);
}

// H heads times C vectors of columns: every sum of y is a chain over the rows in order.
template <typename Ops, int H, int C>
inline void weighted_tile(float *y, const float *p, int64_t p_stride, const float *v, int64_t rows,
                          int64_t dim) {
    typename Ops::Lanes sums[H][C];
#pragma GCC unroll 8
    for (int h = 0; h < H; h++)
#pragma GCC unroll 8
        for (int c = 0; c < C; c++) sums[h][c] = Ops::load(y + h * dim + c * Ops::kWidth);
    for (int64_t row = 0; row < rows; row++) {
        typename Ops::Lanes values[C];
#pragma GCC unroll 8
        for (int c = 0; c < C; c++) values[c] = Ops::load(v + row * dim + c * Ops::kWidth);
#pragma GCC unroll 8
        for (int h = 0; h < H; h++) {
            const typename Ops::Lanes weight = Ops::all(p[h * p_stride + row]);
#pragma GCC unroll 8
            for (int c = 0; c < C; c++) sums[h][c] = Ops::fma(weight, values[c], sums[h][c]);
        }
    }
#pragma GCC unroll 8
    for (int h = 0; h < H; h++)
#pragma GCC unroll 8
        for (int c = 0; c < C; c++) Ops::store(y + h * dim + c * Ops::kWidth, sums[h][c]);
}

template <typename Ops, int H>
inline void weighted_heads(float *y, const float *p, int64_t p_stride, const float *v, int64_t rows,
                           int64_t dim) {
    int64_t column = 0;
    for (; column + Ops::kTileColumns * Ops::kWidth <= dim;
         column += Ops::kTileColumns * Ops::kWidth)
        weighted_tile<Ops, H, Ops::kTileColumns>(y + column, p, p_stride, v + column, rows, dim);
    for (; column + Ops::kWidth <= dim; column += Ops::kWidth)
        weighted_tile<Ops, H, 1>(y + column, p, p_stride, v + column, rows, dim);
    for (; column < dim; column++)
        for (int h = 0; h < H; h++) {
            float sum = y[h * dim + column];
            for (int64_t row = 0; row < rows; row++)
                sum = __builtin_fmaf(p[h * p_stride + row], v[row * dim + column], sum);
            y[h * dim + column] = sum;
        }
}

template <typename Ops>
void weighted_rows(float *y, const float *p, int64_t p_stride, const float *v, int64_t heads,
                   int64_t rows, int64_t dim) {
    int64_t h = 0;
    for (; h + 4 <= heads; h += 4)
        weighted_heads<Ops, 4>(y + h * dim, p + h * p_stride, p_stride, v, rows, dim);
    for (; h < heads; h++)
        weighted_heads<Ops, 1>(y + h * dim, p + h * p_stride, p_stride, v, rows, dim);
}

template <typename Ops, int R>
inline void score_heads(float *s, int64_t s_stride, const float *q, const float *k, int64_t heads,
                        int64_t dim) {
    int64_t h = 0;
    for (; h + Ops::kTileTokens <= heads; h += Ops::kTileTokens)
        dot_tile<Ops, R, Ops::kTileTokens>(s + h * s_stride, s_stride, q + h * dim, k, dim);
    for (; h < heads; h++) dot_tile<Ops, R, 1>(s + h * s_stride, s_stride, q + h * dim, k, dim);
}

template <typename Ops>
void score_rows(float *s, int64_t s_stride, const float *q, const float *k, int64_t heads,
                int64_t rows, int64_t dim) {
    int64_t row = 0;
    for (; row + 4 <= rows; row += 4)
        score_heads<Ops, 4>(s + row, s_stride, q, k + row * dim, heads, dim);
    for (; row < rows; row++) score_heads<Ops, 1>(s + row, s_stride, q, k + row * dim, heads, dim);
}

// Weights are added like products: lanes, then pairs, then the scores past the last whole vector.
template <typename Ops> Softening soften(float *scores, int64_t count, float scale, float sink) {
    typename Ops::Lanes largest = Ops::all(sink);
    float highest = sink;
    int64_t i = 0;
    for (; i + Ops::kWidth <= count; i += Ops::kWidth) {
        const typename Ops::Lanes scaled = Ops::multiply(Ops::load(scores + i), Ops::all(scale));
        Ops::store(scores + i, scaled);
        largest = Ops::larger(scaled, largest);
    }
    for (; i < count; i++) {
        scores[i] *= scale;
        if (scores[i] > highest) highest = scores[i];
    }
    alignas(64) float lanes[Ops::kWidth];
    Ops::store(lanes, largest);
    for (int lane = 0; lane < Ops::kWidth; lane++)
        if (lanes[lane] > highest) highest = lanes[lane];
    typename Ops::Lanes sums = Ops::zero();
    for (i = 0; i + Ops::kWidth <= count; i += Ops::kWidth) {
        const typename Ops::Lanes weight =
            Ops::exp_minus(Ops::subtract(Ops::all(highest), Ops::load(scores + i)));
        Ops::store(scores + i, weight);
        sums = Ops::add(sums, weight);
    }
    float total = exp_minus_or_nan(highest - sink) + Ops::total(sums);
    for (; i < count; i++) {
        scores[i] = exp_minus_or_nan(highest - scores[i]);
        total += scores[i];
    }
    return {highest, total};
}

} // namespace
} // namespace ds4::cpu
