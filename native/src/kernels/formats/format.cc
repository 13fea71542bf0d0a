#include "kernels/formats/format.h"

#include "ds4.h"

namespace ds4::kernels::formats {

const HostFormat *host_format(uint32_t type) {
    static constexpr HostFormat kF32{8192, 0, pack_strip_f32};
    static constexpr HostFormat k16Bit{4096, 0, pack_strip_16bit};
    static constexpr HostFormat kQ8_0{2176, 0, pack_strip_q8_0};
    static constexpr HostFormat kF8E4m3{2048, 1, pack_strip_f8_e4m3};
    static constexpr HostFormat kIq2Xxs{512, 16, pack_strip_iq2_xxs};
    static constexpr HostFormat kQ2K{640, 32, pack_strip_q2_k};
    static constexpr HostFormat kQ4K{1120, 32, pack_strip_q4_k};
    static constexpr HostFormat kMxfp4{1088, 0, pack_strip_mxfp4};
    switch (type) {
    case DS4_TYPE_F32: return &kF32;
    case DS4_TYPE_F16:
    case DS4_TYPE_BF16: return &k16Bit;
    case DS4_TYPE_Q8_0: return &kQ8_0;
    case DS4_TYPE_F8_E4M3: return &kF8E4m3;
    case DS4_TYPE_IQ2_XXS: return &kIq2Xxs;
    case DS4_TYPE_Q2_K: return &kQ2K;
    case DS4_TYPE_Q4_K: return &kQ4K;
    case DS4_TYPE_MXFP4:
    case DS4_TYPE_FP4_PACKED: return &kMxfp4;
    default: return nullptr;
    }
}

} // namespace ds4::kernels::formats
