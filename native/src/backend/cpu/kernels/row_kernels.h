// The functions that compute products, and the table that chooses among them.
#pragma once
#include "backend/cpu/kernels/operands.h"

namespace ds4::cpu {

// Rows [row_begin, row_end) of a weight matrix times `count` rows of activations: y[i * y_stride +
// row] = weight[row] . x_i. Here x_i is rows[i], or row row_index[i] of x, or row i of x.
struct RowsTask {
    Matrix weight;
    int64_t row_begin, row_end;
    const Activations *x;
    const int32_t *row_index; // [count], nullable
    int64_t count;
    float *y;
    int64_t y_stride;
    // [count], nullable: pointers to rows that lie anywhere, in place of x and row_index. A row is
    // cols floats or ActivationGroups, as the function takes them.
    const uint8_t *const *rows = nullptr;
};
inline int64_t source_row(const RowsTask &task, int64_t i) {
    return task.row_index != nullptr ? task.row_index[i] : i;
}
inline const float *token_values(const RowsTask &task, int64_t i) {
    if (task.rows != nullptr) return reinterpret_cast<const float *>(task.rows[i]);
    return task.x->values + source_row(task, i) * task.x->cols;
}
inline const ActivationGroup *token_groups(const RowsTask &task, int64_t i) {
    if (task.rows != nullptr) return reinterpret_cast<const ActivationGroup *>(task.rows[i]);
    return task.x->groups +
           source_row(task, i) * ((task.x->cols + kGroupChannels - 1) / kGroupChannels);
}
// The first kHalvesInputs inputs; the next ones lie x->count rows on.
inline const uint16_t *token_halves(const RowsTask &task, int64_t i) {
    return task.x->halves + source_row(task, i) * kHalvesStride;
}
using RowsFunction = void (*)(const RowsTask &task);

// Quantises one row of `cols` values into its groups.
using QuantiseFunction = void (*)(const float *values, int64_t cols, ActivationGroup *out);

// The functions for one weight type in one instruction set.
struct RowKernels {
    RowsFunction f32;  // never null for a type that holds weights
    RowsFunction int8; // null if the type has no int8 form
};
// {nullptr, nullptr} for a type without weights.
RowKernels row_kernels(uint32_t type, Isa isa);
QuantiseFunction quantise_function(Isa isa);
// F8_E4M3 whose scales are f32 [ceil(rows/128), ceil(cols/128)] at `scales`, which is 4-byte
// aligned.
RowsFunction f8_rows_with_f32_scales(Isa isa);

} // namespace ds4::cpu
