#include "backend/cpu/kernels/decoders_avx512.h"
#include "backend/cpu/kernels/int8_rows.h"
#include "backend/cpu/kernels/row_kernels_avx512.h"

namespace ds4::cpu {

void rows_int8_q8_0_avx512(const RowsTask &task) { rows_int8<Avx512, Q8_0Avx512>(task); }
void rows_int8_mxfp4_avx512(const RowsTask &task) { rows_int8<Avx512, Mxfp4Avx512>(task); }
void rows_int8_fp4_packed_avx512(const RowsTask &task) { rows_int8<Avx512, Fp4PackedAvx512>(task); }
void rows_int8_q4k_avx512(const RowsTask &task) { rows_int8<Avx512, Q4KAvx512>(task); }
void rows_int8_q2k_avx512(const RowsTask &task) { rows_int8<Avx512, Q2KAvx512>(task); }
void rows_int8_iq2xxs_avx512(const RowsTask &task) { rows_int8<Avx512, Iq2XxsAvx512>(task); }

} // namespace ds4::cpu
