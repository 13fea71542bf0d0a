#include "kernels/formats/plain_values.cuh"
#include "kernels/matmul/products.cuh"

namespace ds4::kernels::matmul_detail {

void multiply_bf16(Batch &batch, bool is_exact, device::Stream &stream) {
    multiply_batch<formats::Bf16>(batch, is_exact, stream);
}

} // namespace ds4::kernels::matmul_detail
