#include "kernels/formats/q8_0.cuh"
#include "kernels/matmul/products.cuh"

namespace ds4::kernels::matmul_detail {

void multiply_q8_0(Batch &batch, bool is_exact, device::Stream &stream) {
    multiply_batch<formats::Q8_0>(batch, is_exact, stream);
}

} // namespace ds4::kernels::matmul_detail
