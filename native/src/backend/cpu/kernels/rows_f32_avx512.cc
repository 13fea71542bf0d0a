#include "backend/cpu/kernels/decoders_avx512.h"
#include "backend/cpu/kernels/dense_avx512.h"
#include "backend/cpu/kernels/f32_rows.h"
#include "backend/cpu/kernels/row_kernels_avx512.h"

namespace ds4::cpu {

void rows_f32_q8_0_avx512(const RowsTask &task) { rows_f32_block<Avx512, Q8_0Avx512>(task); }
void rows_f32_mxfp4_avx512(const RowsTask &task) { rows_f32_block<Avx512, Mxfp4Avx512>(task); }
void rows_f32_fp4_packed_avx512(const RowsTask &task) {
    rows_f32_block<Avx512, Fp4PackedAvx512>(task);
}
void rows_f32_q4k_avx512(const RowsTask &task) { rows_f32_block<Avx512, Q4KAvx512>(task); }
void rows_f32_q2k_avx512(const RowsTask &task) { rows_f32_block<Avx512, Q2KAvx512>(task); }
void rows_f32_iq2xxs_avx512(const RowsTask &task) { rows_f32_block<Avx512, Iq2XxsAvx512>(task); }
void rows_f32_f32_avx512(const RowsTask &task) { rows_f32_dense<Avx512, F32Avx512>(task); }
void rows_f32_f16_avx512(const RowsTask &task) { rows_f32_dense<Avx512, F16Avx512>(task); }
void rows_f32_bf16_avx512(const RowsTask &task) { rows_f32_dense<Avx512, Bf16Avx512>(task); }
void rows_f32_f8_e4m3_avx512(const RowsTask &task) {
    rows_f32_dense<Avx512, F8E4m3Avx512<uint8_t>>(task);
}
void rows_f32_f8_f32_scales_avx512(const RowsTask &task) {
    rows_f32_dense<Avx512, F8E4m3Avx512<float>>(task);
}

} // namespace ds4::cpu
