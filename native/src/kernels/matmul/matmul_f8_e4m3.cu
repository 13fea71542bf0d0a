#include "kernels/formats/f8_e4m3.cuh"
#include "kernels/matmul/products.cuh"

namespace ds4::kernels::matmul_detail {

void multiply_f8_e4m3(Batch &batch, bool is_exact, device::Stream &stream) {
    multiply_batch<formats::F8E4m3>(batch, is_exact, stream);
}

} // namespace ds4::kernels::matmul_detail
