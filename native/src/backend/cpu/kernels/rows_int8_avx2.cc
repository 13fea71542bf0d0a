#include "backend/cpu/kernels/decoders_avx2.h"
#include "backend/cpu/kernels/int8_rows.h"
#include "backend/cpu/kernels/row_kernels_avx2.h"

namespace ds4::cpu {

void rows_int8_q8_0_avx2(const RowsTask &task) { rows_int8<Avx2, Q8_0Avx2>(task); }
void rows_int8_mxfp4_avx2(const RowsTask &task) { rows_int8<Avx2, Mxfp4Avx2>(task); }
void rows_int8_fp4_packed_avx2(const RowsTask &task) { rows_int8<Avx2, Fp4PackedAvx2>(task); }
void rows_int8_q4k_avx2(const RowsTask &task) { rows_int8<Avx2, Q4KAvx2>(task); }
void rows_int8_q2k_avx2(const RowsTask &task) { rows_int8<Avx2, Q2KAvx2>(task); }
void rows_int8_iq2xxs_avx2(const RowsTask &task) { rows_int8<Avx2, Iq2XxsAvx2>(task); }

} // namespace ds4::cpu
