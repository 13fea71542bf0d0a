#include "backend/cpu/kernels/ops_avx2.h"
#include "backend/cpu/kernels/vector_rows.h"

namespace ds4::cpu {

const VectorKernels kVectorKernelsAvx2 = {add_scaled<Avx2>, sum_squares<Avx2>, weighted_rows<Avx2>,
                                          score_rows<Avx2>, soften<Avx2>};

} // namespace ds4::cpu
