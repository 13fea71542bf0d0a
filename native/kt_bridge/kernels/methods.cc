#include "kernels/methods.h"

#include "ds4.h"
#include "format/convert.h"
#include "kernels/kernels.h"
#include "kt_bridge.h"

namespace ds4::ktb {
namespace {

constexpr MethodTraits kMethods[] = {
    {"MXFP4", KTB_MXFP4, DS4_TYPE_FP4_PACKED, 32, 32, 128, 1, kGroup, 1},
    {"BF16", KTB_BF16, DS4_TYPE_BF16, 128, 0, 128, 1, 0, 0},
    {"FP8", KTB_FP8, DS4_TYPE_F8_E4M3, 128, 0, 128, 128, 128, 4},
    {"FP8_PERCHANNEL", KTB_FP8_PERCHANNEL, DS4_TYPE_F8_E4M3, 128, 0, 128, 1, 0, 4},
    {"Q8_0", KTB_Q8_0, DS4_TYPE_Q8_0, 128, 0, 128, 1, 0, 0},
    {"Q2_K", KTB_Q2_K, DS4_TYPE_Q2_K, 256, 0, 256, 1, 0, 0},
    {"Q4_K", KTB_Q4_K, DS4_TYPE_Q4_K, 256, 0, 256, 1, 0, 0},
    {"IQ2_XXS", KTB_IQ2_XXS, DS4_TYPE_IQ2_XXS, 256, 0, 256, 1, 0, 0},
};

} // namespace

const MethodTraits &method_traits(Method method) { return kMethods[size_t(method)]; }

bool find_method(int abi_number, Method &out) {
    for (size_t i = 0; i < sizeof kMethods / sizeof kMethods[0]; i++)
        if (kMethods[i].abi_number == abi_number) {
            out = Method(i);
            return true;
        }
    return false;
}

const char *method_names() {
    return "KTB_MXFP4 (0), KTB_FP8 (1), KTB_BF16 (2), KTB_FP8_PERCHANNEL (3), KTB_Q8_0 (16), "
           "KTB_Q2_K (17), KTB_Q4_K (18) and KTB_IQ2_XXS (19)";
}

size_t row_bytes(Method method, int columns) {
    return size_t(ds4::row_bytes(method_traits(method).type, uint64_t(columns)));
}

size_t scale_row_bytes(Method method, int columns) {
    const MethodTraits &traits = method_traits(method);
    return size_t(traits.scale_bytes) *
           size_t(traits.scale_columns == 0 ? 1 : columns / traits.scale_columns);
}

size_t tile_bytes(Method method, int inputs) {
    if (method == Method::mxfp4) return size_t(inputs / kGroup) * kTileBytes;
    const size_t rows = size_t(kTileRows) * row_bytes(method, inputs);
    if (method == Method::fp8_perchannel) return rows + kTileRows * sizeof(float);
    return rows + (2 * scale_row_bytes(method, inputs) + 63) / 64 * 64;
}

} // namespace ds4::ktb
