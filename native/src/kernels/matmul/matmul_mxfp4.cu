#include "kernels/formats/mxfp4.cuh"
#include "kernels/matmul/few_products.cuh"

namespace ds4::kernels::matmul_detail {

void multiply_mxfp4(Batch &batch, bool is_exact, device::Stream &stream) {
    multiply_rare_batch<formats::Mxfp4>(batch, is_exact, stream);
}

} // namespace ds4::kernels::matmul_detail
