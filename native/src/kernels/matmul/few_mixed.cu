// Products with one to eight rows whose weights have different formats, in one launch. Launches of
// their own would cost as much as small products.
#include "kernels/formats/f8_e4m3.cuh"
#include "kernels/formats/plain_values.cuh"
#include "kernels/formats/q8_0.cuh"
#include "kernels/matmul/few_rows.cuh"

namespace ds4::kernels::matmul_detail {
namespace {

template <int Rows>
__global__ void __launch_bounds__(kFewThreads, kFewBlocks<Rows>) few_mixed_kernel(Batch batch) {
    const BatchEntry entry = entry_of_block(batch, int(blockIdx.x));
    switch (entry.kind) {
    case Kind::f32: return few_rows_block<formats::F32, FewF32, Rows>(batch, entry);
    case Kind::f16: return few_rows_block<formats::F16, FewF32, Rows>(batch, entry);
    case Kind::bf16: return few_rows_block<formats::Bf16, FewF32, Rows>(batch, entry);
    case Kind::q8_0_int8: return few_rows_block<formats::Q8_0, FewInt8, Rows>(batch, entry);
    case Kind::f8_e4m3_bf16: return few_rows_block<formats::F8E4m3, FewBf16, Rows>(batch, entry);
    case Kind::other: return;
    }
}

} // namespace

void multiply_mixed(Batch &batch, device::Stream &stream) {
    if (batch.rows == 1 && row_bytes_f32(batch) <= kMostRowBytes)
        launch_few_rows<1>(few_mixed_kernel<1>, batch, stream);
    else
        launch_few_rows<kMixedRows>(few_mixed_kernel<kMixedRows>, batch, stream);
}

} // namespace ds4::kernels::matmul_detail
