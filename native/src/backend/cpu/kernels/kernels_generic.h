// The plain kernels: the reference for the others, and the kernels of a CPU without AVX2.
#pragma once
#include "backend/cpu/kernels/row_kernels.h"

namespace ds4::cpu {

void rows_f32_generic(const RowsTask &task);  // any weight type
void rows_int8_generic(const RowsTask &task); // block types
void rows_f32_f8_f32_scales_generic(const RowsTask &task);
void quantise_generic(const float *values, int64_t cols, ActivationGroup *out);

} // namespace ds4::cpu
