// Products of a weight format in which dense matrices are rare: few kernels, the same bits.
#pragma once
#include "kernels/matmul/few_rows.cuh"

namespace ds4::kernels::matmul_detail {

template <typename Format, template <typename, int> typename Few>
void multiply_rare_form(Batch &batch, device::Stream &stream) {
    if (batch.rows <= 8)
        few_rows<Format, Few, 8>(batch, stream);
    else
        few_rows<Format, Few, 32>(batch, stream);
}

template <typename Format>
void multiply_rare_batch(Batch &batch, bool is_exact, device::Stream &stream) {
    static_assert(Format::kInput == formats::Input::int8);
    if (is_exact)
        multiply_rare_form<Format, FewF32>(batch, stream);
    else
        multiply_rare_form<Format, FewInt8>(batch, stream);
}

} // namespace ds4::kernels::matmul_detail
