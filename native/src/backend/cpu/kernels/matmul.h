// Products of weight matrices, as stored, with rows of activations: y[i] = W x[i].
//
// Batch invariance: the result of a row of x never depends on which other rows are in the call, on the number of
// threads or on how the call was split. Every (row of W, row of x) dot product has one order of summation per
// instruction set and precision.
#pragma once
#include <cstdint>
#include <span>

#include "backend/cpu/thread_pool.h"

namespace ds4::cpu {

enum class Isa { generic, avx2, avx512 };
// The best set that CPU and operating system support.
Isa best_isa();
bool isa_supported(Isa isa);
const char *isa_name(Isa isa);

// How activations enter a product. f32: float products of the exactly decoded weight, float sums. int8: activations
// rounded to int8 per 32 channels (scale amax/127), exact integer sums inside a group, float sums over groups; only
// block types (Q8_0, MXFP4, FP4_PACKED, Q2_K, Q4_K, IQ2_XXS) take it, others fall back to f32.
enum class Precision { f32, int8 };

// A weight matrix where it lies in the mapped file. Not owning.
struct Matrix {
    uint32_t type = 0;              // DS4_TYPE_*
    int64_t rows = 0, cols = 0;
    const uint8_t *data = nullptr;  // rows * row bytes, any alignment
    const uint8_t *scales = nullptr; // F8_E4M3 and FP4_PACKED only
};

// n rows of activations with the forms that products need, made once and shared by all products of the same vector.
// The memory is the caller's: activation_bytes() of it, 64-byte aligned.
struct Activations {
    int64_t count = 0, cols = 0;
    Precision precision = Precision::f32;
    const float *values = nullptr;  // [count, cols], the caller's, always present
    const int8_t *quants = nullptr; // [count, cols] int8, if precision is int8
    const float *scales = nullptr;  // [count, cols/32]
    const int32_t *sums = nullptr;  // [count, cols/16] sums of quants, in the order the kernels want
};
uint64_t activation_bytes(int64_t count, int64_t cols, Precision precision);
Activations prepare_activations(ThreadPool &pool, Isa isa, const float *values, int64_t count, int64_t cols,
                                Precision precision, void *memory);

// One product. x rows are row_index[0..count) of the activations, or 0..count-1 when row_index is null; result i goes
// to y + i * y_stride.
struct Product {
    Matrix weight;
    const Activations *x = nullptr;
    const int32_t *row_index = nullptr; // [count], nullable
    int64_t count = 0;
    float *y = nullptr;
    int64_t y_stride = 0;
};
// All products in one parallel region; work is divided by bytes read and operations.
void multiply(ThreadPool &pool, Isa isa, std::span<const Product> products);

// Straight-line vector helpers of the same instruction set; every one has a fixed order of summation.
struct VectorKernels {
    float (*dot)(const float *a, const float *b, int64_t n);                  // sum a_i b_i
    void (*add_scaled)(float *y, float a, const float *x, int64_t n);         // y_i += a x_i, fused
    float (*sum_squares)(const float *x, int64_t n);
    // y[0..heads) += sum over rows in increasing order of p[h][row] * v[row]: attention's second product.
    // p [heads, p_stride], v [rows, dim], y [heads, dim]
    void (*weighted_rows)(float *y, const float *p, int64_t p_stride, const float *v, int64_t heads, int64_t rows, int64_t dim);
    // s[h][row] = q[h] . k[row]. q [heads, dim], k [rows, dim], s [heads, s_stride]
    void (*score_rows)(float *s, int64_t s_stride, const float *q, const float *k, int64_t heads, int64_t rows, int64_t dim);
};
const VectorKernels &vector_kernels(Isa isa);

} // namespace ds4::cpu
