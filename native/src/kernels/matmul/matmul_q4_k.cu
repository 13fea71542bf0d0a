#include "kernels/formats/q4_k.cuh"
#include "kernels/matmul/few_products.cuh"

namespace ds4::kernels::matmul_detail {

void multiply_q4_k(Batch &batch, bool is_exact, device::Stream &stream) {
    multiply_rare_batch<formats::Q4K>(batch, is_exact, stream);
}

} // namespace ds4::kernels::matmul_detail
