// Vector helpers of attention and norms. Plain declarations only: files of one instruction set
// include this.
#pragma once
#include <cstdint>

namespace ds4::cpu {

// The largest of a row of scores, and the sum of their weights.
struct Softening {
    float highest, total;
};

// Vector helpers of one instruction set. Each of them has a fixed order of summation.
struct VectorKernels {
    void (*add_scaled)(float *y, float a, const float *x,
                       int64_t n); // y_i += a x_i, fused but in generic
    float (*sum_squares)(const float *x, int64_t n);
    // y[0..heads) += sum over rows in increasing order of p[h][row] * v[row], the second product of
    // attention. p [heads, p_stride], v [rows, dim], y [heads, dim]
    void (*weighted_rows)(float *y, const float *p, int64_t p_stride, const float *v, int64_t heads,
                          int64_t rows, int64_t dim);
    // s[h][row] = q[h] . k[row]. q [heads, dim], k [rows, dim], s [heads, s_stride]
    void (*score_rows)(float *s, int64_t s_stride, const float *q, const float *k, int64_t heads,
                       int64_t rows, int64_t dim);
    // scores[i] = exp(scale * scores[i] - highest), the numerator of a softmax, where the sink
    // counts as one more score. A weight below exp(-kExpReach) is 0. scale is not negative.
    Softening (*soften)(float *scores, int64_t count, float scale, float sink);
};

extern const VectorKernels kVectorKernelsGeneric, kVectorKernelsAvx2, kVectorKernelsAvx512;

} // namespace ds4::cpu
