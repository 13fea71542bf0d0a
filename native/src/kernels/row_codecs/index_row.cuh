// Index rows and index queries in kernels: the bytes of IndexRowFormat::encode and the values of
// round_index_row (kv/row_formats.h). One warp holds a row; lane l has its channels PerLane l to
// PerLane l + PerLane - 1.
#pragma once
#include "device/kernel.h"
#include "kernels/row_codecs/kv_row.cuh"

namespace ds4::kernels {

using namespace device;

inline constexpr int kIndexGroupChannels = 32; // that share a scale

// Rows of 64, 128 or 256 channels.
inline constexpr bool index_row_fits(int channels) {
    return channels == 64 || channels == 128 || channels == 256;
}

// Walsh-Hadamard transform in natural order times channels^(-1/2), summed as on the CPU.
template <int PerLane> __device__ __forceinline__ void hadamard(float (&x)[PerLane]) {
    static_assert(PerLane == 2 || PerLane == 4 || PerLane == 8);
    constexpr float kScale = PerLane == 2   ? 0.125f
                             : PerLane == 4 ? float(0.08838834764831844055)
                                            : 0.0625f;
    for (int stride = 1; stride < PerLane; stride *= 2)
        for (int i = 0; i < PerLane; i++) {
            if ((i & stride) != 0) continue;
            const float a = x[i], b = x[i + stride];
            x[i] = a + b, x[i + stride] = a - b;
        }
    for (int step = 1; step < kWarp; step *= 2)
        for (int i = 0; i < PerLane; i++) {
            const float other = __shfl_xor_sync(kAllLanes, x[i], step);
            x[i] = (lane() & step) == 0 ? x[i] + other : other - x[i];
        }
    for (int i = 0; i < PerLane; i++) x[i] = __fmul_rn(x[i], kScale);
}

// The scale byte of the lane's group: 2^(byte - 127) is the smallest power of two with
// largest <= 6 * 2^(byte - 127).
template <int PerLane>
__device__ __forceinline__ uint32_t index_scale_byte(const float (&x)[PerLane]) {
    float largest = 6.0f * 0x1p-126f;
    for (int i = 0; i < PerLane; i++) largest = fmaxf(largest, fabsf(x[i]));
    for (int step = 1; step < kIndexGroupChannels / PerLane; step *= 2)
        largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, step));
    const uint32_t bits = __float_as_uint(largest);
    return (bits >> 23) - 2u + ((bits & 0x7fffffu) > 0x400000u ? 1u : 0u);
}

// To nearest, midpoints to the even code.
__device__ __forceinline__ uint32_t float_to_e2m1(float value) {
    const float magnitude = fabsf(value);
    const uint32_t code = magnitude <= 0.25f   ? 0
                          : magnitude < 0.75f  ? 1
                          : magnitude <= 1.25f ? 2
                          : magnitude < 1.75f  ? 3
                          : magnitude <= 2.5f  ? 4
                          : magnitude < 3.5f   ? 5
                          : magnitude <= 5.0f  ? 6
                                               : 7;
    return (__float_as_uint(value) >> 28 & 8u) | code;
}
// The value of a code. Codes 2 to 7 are floats of two exponent bits and one bit of mantissa.
__device__ __forceinline__ float e2m1_to_float(uint32_t code) {
    const uint32_t sign = (code & 8u) << 28, magnitude = code & 7u;
    if (magnitude < 2) return __uint_as_float(sign | (magnitude == 0 ? 0u : 0x3f000000u));
    return __uint_as_float(sign | ((magnitude << 22) + (126u << 23)));
}

// Encodes a row that hadamard() has transformed. row: at a multiple of 4.
template <int PerLane>
__device__ __forceinline__ void encode_index_row(const float (&x)[PerLane], uint8_t *row) {
    constexpr int kChannels = PerLane * kWarp, kLanes = kIndexGroupChannels / PerLane;
    const uint32_t byte = index_scale_byte(x);
    const float inverse = inverse_scale(byte);
    for (int i = 0; i < PerLane; i += 2)
        row[lane() * (PerLane / 2) + i / 2] =
            uint8_t(float_to_e2m1(__fmul_rn(x[i], inverse)) |
                    float_to_e2m1(__fmul_rn(x[i + 1], inverse)) << 4);
    if (lane() % kLanes == 0) row[kChannels / 2 + lane() / kLanes] = uint8_t(byte);
}

// Rounds a transformed row in place to the values that encode_index_row stores.
template <int PerLane> __device__ __forceinline__ void round_index_row(float (&x)[PerLane]) {
    const uint32_t byte = index_scale_byte(x);
    const float inverse = inverse_scale(byte), scale = scale_of_byte(byte);
    for (int i = 0; i < PerLane; i++)
        x[i] = __fmul_rn(e2m1_to_float(float_to_e2m1(__fmul_rn(x[i], inverse))), scale);
}

} // namespace ds4::kernels
