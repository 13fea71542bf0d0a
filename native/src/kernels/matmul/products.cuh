// All products of one weight format. Every form gives the same bits: the choice is only about time.
#pragma once
#include "kernels/matmul/few_rows.cuh"
#include "kernels/matmul/many_rows.cuh"

namespace ds4::kernels::matmul_detail {

// Wide: tens of rows of x for which many_rows reads weights once, in eights. Blocks that would
// leave multiprocessors idle are made smaller, and then split by slices of the columns.
template <typename Format, template <typename, int> typename Few,
          template <typename, int> typename Many, int Wide>
void multiply_form(Batch &batch, device::Stream &stream) {
    constexpr int kNarrow = 4, kNarrowRows = 8 * kNarrow;
    if (batch.rows == 1 && row_bytes_f32(batch) <= kMostRowBytes)
        return few_rows<Format, Few, 1>(batch, stream);
    if (batch.rows <= 8) return few_rows<Format, Few, 8>(batch, stream);
    const int64_t blocks = give_each_its_strips(batch, kManyWarps);
    const auto covers = [&](int rows) {
        return blocks * ((batch.rows + rows - 1) / rows) >= multiprocessors();
    };
    if (Wide > kNarrow && covers(8 * Wide))
        return launch_many_rows<Format, Many<Format, Wide>>(batch, blocks, stream);
    if (covers(kNarrowRows))
        return launch_many_rows<Format, Many<Format, kNarrow>>(batch, blocks, stream);
    few_rows<Format, Few, kNarrowRows>(batch, stream);
}

template <typename Format>
void multiply_batch(Batch &batch, bool is_exact, device::Stream &stream) {
    if (is_exact || Format::kInput == formats::Input::f32)
        return multiply_form<Format, FewF32, ManyF32, 4>(batch, stream);
    if constexpr (Format::kInput == formats::Input::int8)
        return multiply_form<Format, FewInt8, ManyInt8, 16>(batch, stream);
    if constexpr (Format::kInput == formats::Input::bf16)
        return multiply_form<Format, FewBf16, ManyBf16, 8>(batch, stream);
}

} // namespace ds4::kernels::matmul_detail
