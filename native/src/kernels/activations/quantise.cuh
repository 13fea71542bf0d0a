// How a group of 32 channels is rounded to int8, for kernels that round what they have just made.
#pragma once
#include "device/kernel.h"

namespace ds4::kernels {

struct GroupRounding {
    float scale, inverse; // amax / 127; 127 / amax, 0 where all codes are 0
};

// largest: the bits of the largest magnitude, so that NaN and infinity are above every number; they
// make the scale NaN. Below 2^-120 the reciprocal would overflow: such a group counts as zero.
__device__ __forceinline__ GroupRounding rounding_of(uint32_t largest) {
    constexpr uint32_t kInfinity = 0x7f800000u, kSmallest = (127u - 120u) << 23;
    if (largest >= kInfinity) return {__uint_as_float(0x7fc00000u), 0.0f};
    if (largest < kSmallest) return {0.0f, 0.0f};
    const float magnitude = __uint_as_float(largest);
    return {__fdiv_rn(magnitude, 127.0f), __fdiv_rn(127.0f, magnitude)};
}

// One of the 32 channels of a group in each lane.
struct QuantisedLane {
    int8_t code;
    float scale;
};
__device__ __forceinline__ QuantisedLane quantise_lane(float value) {
    const uint32_t largest =
        __reduce_max_sync(device::kAllLanes, __float_as_uint(value) & 0x7fffffffu);
    const GroupRounding rounding = rounding_of(largest);
    if (rounding.inverse == 0.0f) return {0, rounding.scale};
    return {int8_t(__float2int_rn(__fmul_rn(value, rounding.inverse))), rounding.scale};
}

} // namespace ds4::kernels
