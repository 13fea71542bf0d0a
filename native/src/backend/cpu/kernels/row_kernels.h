// The functions behind a product, and the one table that chooses them.
#pragma once
#include "backend/cpu/kernels/operands.h"

namespace ds4::cpu {

// Rows [row_begin, row_end) of a weight matrix times `count` rows of activations:
// y[i * y_stride + row] = weight[row] . x[row_index ? row_index[i] : i].
struct RowsTask {
    Matrix weight;
    int64_t row_begin, row_end;
    const Activations *x;
    const int32_t *row_index; // [count], nullable
    int64_t count;
    float *y;
    int64_t y_stride;
};
using RowsFunction = void (*)(const RowsTask &task);

// Quantises one row of `cols` values; the arrays are one row of Activations'.
using QuantiseFunction = void (*)(const float *values, int64_t cols, int8_t *quants, float *scales, int32_t *sums);

// Of one weight type in one instruction set.
struct RowKernels {
    RowsFunction f32;  // never null for a type that holds weights
    RowsFunction int8; // null if the type has no int8 form
};
// {nullptr, nullptr} for a type without weights.
RowKernels row_kernels(uint32_t type, Isa isa);
QuantiseFunction quantise_function(Isa isa);

} // namespace ds4::cpu
