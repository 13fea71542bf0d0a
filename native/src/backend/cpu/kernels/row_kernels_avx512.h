// The kernels of one instruction set, for the registry.
#pragma once
#include "backend/cpu/kernels/row_kernels.h"

namespace ds4::cpu {

void rows_int8_q8_0_avx512(const RowsTask &task);
void rows_int8_mxfp4_avx512(const RowsTask &task);
void rows_int8_fp4_packed_avx512(const RowsTask &task);
void rows_int8_q4k_avx512(const RowsTask &task);
void rows_int8_q2k_avx512(const RowsTask &task);
void rows_int8_iq2xxs_avx512(const RowsTask &task);

void rows_f32_q8_0_avx512(const RowsTask &task);
void rows_f32_mxfp4_avx512(const RowsTask &task);
void rows_f32_fp4_packed_avx512(const RowsTask &task);
void rows_f32_q4k_avx512(const RowsTask &task);
void rows_f32_q2k_avx512(const RowsTask &task);
void rows_f32_iq2xxs_avx512(const RowsTask &task);
void rows_f32_f32_avx512(const RowsTask &task);
void rows_f32_f16_avx512(const RowsTask &task);
void rows_f32_bf16_avx512(const RowsTask &task);
void rows_f32_f8_e4m3_avx512(const RowsTask &task);
void rows_f32_f8_f32_scales_avx512(const RowsTask &task);

} // namespace ds4::cpu
