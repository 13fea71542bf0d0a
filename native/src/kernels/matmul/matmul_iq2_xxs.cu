#include "kernels/formats/iq2_xxs.cuh"
#include "kernels/matmul/few_products.cuh"

namespace ds4::kernels::matmul_detail {

void multiply_iq2_xxs(Batch &batch, bool is_exact, device::Stream &stream) {
    multiply_rare_batch<formats::Iq2Xxs>(batch, is_exact, stream);
}

} // namespace ds4::kernels::matmul_detail
