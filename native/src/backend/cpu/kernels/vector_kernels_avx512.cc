#include "backend/cpu/kernels/ops_avx512.h"
#include "backend/cpu/kernels/vector_rows.h"

namespace ds4::cpu {

const VectorKernels kVectorKernelsAvx512 = {add_scaled<Avx512>, sum_squares<Avx512>,
                                            weighted_rows<Avx512>, score_rows<Avx512>,
                                            soften<Avx512>};

} // namespace ds4::cpu
