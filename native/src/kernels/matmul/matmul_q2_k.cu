#include "kernels/formats/q2_k.cuh"
#include "kernels/matmul/few_products.cuh"

namespace ds4::kernels::matmul_detail {

void multiply_q2_k(Batch &batch, bool is_exact, device::Stream &stream) {
    multiply_rare_batch<formats::Q2K>(batch, is_exact, stream);
}

} // namespace ds4::kernels::matmul_detail
