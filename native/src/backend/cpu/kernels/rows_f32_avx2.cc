#include "backend/cpu/kernels/decoders_avx2.h"
#include "backend/cpu/kernels/dense_avx2.h"
#include "backend/cpu/kernels/f32_rows.h"
#include "backend/cpu/kernels/row_kernels_avx2.h"

namespace ds4::cpu {

void rows_f32_q8_0_avx2(const RowsTask &task) { rows_f32_block<Avx2, Q8_0Avx2>(task); }
void rows_f32_mxfp4_avx2(const RowsTask &task) { rows_f32_block<Avx2, Mxfp4Avx2>(task); }
void rows_f32_fp4_packed_avx2(const RowsTask &task) { rows_f32_block<Avx2, Fp4PackedAvx2>(task); }
void rows_f32_q4k_avx2(const RowsTask &task) { rows_f32_block<Avx2, Q4KAvx2>(task); }
void rows_f32_q2k_avx2(const RowsTask &task) { rows_f32_block<Avx2, Q2KAvx2>(task); }
void rows_f32_iq2xxs_avx2(const RowsTask &task) { rows_f32_block<Avx2, Iq2XxsAvx2>(task); }
void rows_f32_f32_avx2(const RowsTask &task) { rows_f32_dense<Avx2, F32Avx2>(task); }
void rows_f32_f16_avx2(const RowsTask &task) { rows_f32_dense<Avx2, F16Avx2>(task); }
void rows_f32_bf16_avx2(const RowsTask &task) { rows_f32_dense<Avx2, Bf16Avx2>(task); }
void rows_f32_f8_e4m3_avx2(const RowsTask &task) {
    rows_f32_dense<Avx2, F8E4m3Avx2<uint8_t>>(task);
}
void rows_f32_f8_f32_scales_avx2(const RowsTask &task) {
    rows_f32_dense<Avx2, F8E4m3Avx2<float>>(task);
}

} // namespace ds4::cpu
