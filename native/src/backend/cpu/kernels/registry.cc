// The one place that maps (instruction set, weight type, precision) to functions.
#include <cpuid.h>

#include "backend/cpu/kernels/kernels_generic.h"
#include "backend/cpu/kernels/vector_kernels.h"
#include "backend/cpu/kernels/row_kernels.h"
#include "backend/cpu/kernels/row_kernels_avx2.h"
#include "backend/cpu/kernels/row_kernels_avx512.h"

#include "ds4.h"

namespace ds4::cpu {
namespace {

// Register state that the operating system saves: bit 1 SSE, 2 AVX, 5..7 AVX-512.
uint64_t enabled_state() {
    uint32_t a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) return 0;
    uint32_t low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t(high) << 32) | low;
}

bool detect(Isa isa) {
    if (isa == Isa::generic) return true;
    uint32_t a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0) return false;
    constexpr uint32_t kLeaf1 = bit_AVX | bit_FMA | bit_F16C;
    if ((c & kLeaf1) != kLeaf1 || (enabled_state() & 0x6) != 0x6) return false;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (b & bit_AVX2) == 0) return false;
    if (isa == Isa::avx2) return true;
    constexpr uint32_t kLeaf7b = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    constexpr uint32_t kLeaf7c = bit_AVX512VBMI | bit_AVX512VNNI;
    return (b & kLeaf7b) == kLeaf7b && (c & kLeaf7c) == kLeaf7c && (enabled_state() & 0xe6) == 0xe6;
}

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

bool isa_supported(Isa isa) {
    static const bool avx2 = detect(Isa::avx2), avx512 = detect(Isa::avx512);
    return isa == Isa::generic || (isa == Isa::avx2 && avx2) || (isa == Isa::avx512 && avx512);
}

Isa best_isa() {
    if (isa_supported(Isa::avx512)) return Isa::avx512;
    return isa_supported(Isa::avx2) ? Isa::avx2 : Isa::generic;
}

const char *isa_name(Isa isa) {
    switch (isa) {
    case Isa::generic: return "generic";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    }
    return "unknown";
}

RowKernels row_kernels(uint32_t type, Isa isa) {
    for (const Entry &entry : kEntries)
        if (entry.type == type) {
            if (isa == Isa::avx512) return entry.avx512;
            return isa == Isa::avx2 ? entry.avx2 : entry.generic;
        }
    return {nullptr, nullptr};
}

QuantiseFunction quantise_function(Isa isa) {
    return isa == Isa::generic ? quantise_generic : quantise_avx2;
}

RowsFunction f8_rows_with_f32_scales(Isa isa) {
    if (isa == Isa::avx512) return rows_f32_f8_f32_scales_avx512;
    return isa == Isa::avx2 ? rows_f32_f8_f32_scales_avx2 : rows_f32_f8_f32_scales_generic;
}

const VectorKernels &vector_kernels(Isa isa) {
    if (isa == Isa::avx512) return kVectorKernelsAvx512;
    return isa == Isa::avx2 ? kVectorKernelsAvx2 : kVectorKernelsGeneric;
}

} // namespace ds4::cpu
