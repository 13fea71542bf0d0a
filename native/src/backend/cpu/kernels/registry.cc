// The one place that maps (instruction set, weight type, precision) to functions.
#include "backend/cpu/kernels/kernels_generic.h"
#include "backend/cpu/kernels/vector_kernels.h"
#include "backend/cpu/kernels/row_kernels.h"
#include "backend/cpu/kernels/row_kernels_avx2.h"
#include "backend/cpu/kernels/row_kernels_avx512.h"

#include "ds4.h"

namespace ds4::cpu {
namespace {

struct Entry {
    uint32_t type;
    RowKernels generic, avx2, avx512;
};
constexpr RowKernels kGenericBlock = {rows_f32_generic, rows_int8_generic},
                     kGenericDense = {rows_f32_generic, nullptr};
constexpr Entry kEntries[] = {
    {DS4_TYPE_F32, kGenericDense, {rows_f32_f32_avx2, nullptr}, {rows_f32_f32_avx512, nullptr}},
    {DS4_TYPE_F16, kGenericDense, {rows_f32_f16_avx2, nullptr}, {rows_f32_f16_avx512, nullptr}},
    {DS4_TYPE_BF16, kGenericDense, {rows_f32_bf16_avx2, nullptr}, {rows_f32_bf16_avx512, nullptr}},
    {DS4_TYPE_F8_E4M3,
     kGenericDense,
     {rows_f32_f8_e4m3_avx2, nullptr},
     {rows_f32_f8_e4m3_avx512, nullptr}},
    {DS4_TYPE_Q8_0,
     kGenericBlock,
     {rows_f32_q8_0_avx2, rows_int8_q8_0_avx2},
     {rows_f32_q8_0_avx512, rows_int8_q8_0_avx512}},
    {DS4_TYPE_MXFP4,
     kGenericBlock,
     {rows_f32_mxfp4_avx2, rows_int8_mxfp4_avx2},
     {rows_f32_mxfp4_avx512, rows_int8_mxfp4_avx512}},
    {DS4_TYPE_FP4_PACKED,
     kGenericBlock,
     {rows_f32_fp4_packed_avx2, rows_int8_fp4_packed_avx2},
     {rows_f32_fp4_packed_avx512, rows_int8_fp4_packed_avx512}},
    {DS4_TYPE_Q4_K,
     kGenericBlock,
     {rows_f32_q4k_avx2, rows_int8_q4k_avx2},
     {rows_f32_q4k_avx512, rows_int8_q4k_avx512}},
    {DS4_TYPE_Q2_K,
     kGenericBlock,
     {rows_f32_q2k_avx2, rows_int8_q2k_avx2},
     {rows_f32_q2k_avx512, rows_int8_q2k_avx512}},
    {DS4_TYPE_IQ2_XXS,
     kGenericBlock,
     {rows_f32_iq2xxs_avx2, rows_int8_iq2xxs_avx2},
     {rows_f32_iq2xxs_avx512, rows_int8_iq2xxs_avx512}},
};

} // namespace

RowKernels row_kernels(uint32_t type, Isa isa) {
    for (const Entry &entry : kEntries)
        if (entry.type == type) {
            if (isa >= Isa::avx512) return entry.avx512;
            return isa == Isa::avx2 ? entry.avx2 : entry.generic;
        }
    return {nullptr, nullptr};
}

QuantiseFunction quantise_function(Isa isa) {
    return isa == Isa::generic ? quantise_generic : quantise_avx2;
}

RowsFunction f8_rows_with_f32_scales(Isa isa) {
    if (isa >= Isa::avx512) return rows_f32_f8_f32_scales_avx512;
    return isa == Isa::avx2 ? rows_f32_f8_f32_scales_avx2 : rows_f32_f8_f32_scales_generic;
}

const VectorKernels &vector_kernels(Isa isa) {
    if (isa >= Isa::avx512) return kVectorKernelsAvx512;
    return isa == Isa::avx2 ? kVectorKernelsAvx2 : kVectorKernelsGeneric;
}

} // namespace ds4::cpu
