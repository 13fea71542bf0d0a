// KV rows as kernels write them: the bytes of KvRowFormat::encode (kv/row_formats.h).
#pragma once
#include "device/kernel.h"
#include "kernels/step/step_table.h"

namespace ds4::kernels {

using namespace device;

inline constexpr int kKvGroupChannels = 64; // that share a scale

// Where the rotary channels of a packed row begin, in bytes.
__device__ __forceinline__ int kv_row_tail(const RowFormat &format) {
    return format.bytes - format.rotary * 2;
}
// The scale byte of a group: 2^(byte - 127) is the smallest power of two with
// largest <= 448 * 2^(byte - 127).
__device__ __forceinline__ uint32_t e4m3_scale_byte(float largest) {
    const uint32_t bits = __float_as_uint(fmaxf(largest, 1e-4f));
    return (bits >> 23) - 8u + ((bits & 0x7fffffu) > 0x600000u ? 1u : 0u);
}
// 2^(127 - byte), for bytes 1 to 253
__device__ __forceinline__ float inverse_scale(uint32_t byte) {
    return __uint_as_float((254u - byte) << 23);
}
__device__ __forceinline__ float scale_of_byte(uint32_t byte) {
    return __uint_as_float(byte == 0 ? 0x00400000u : byte << 23);
}
// To nearest, ties to even; above 448 saturates, from 512 on and NaN give NaN.
__device__ __forceinline__ uint32_t float_to_e4m3(float value) {
    const uint32_t bits = __float_as_uint(value), sign = bits >> 24 & 0x80u,
                   magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x44000000u) return sign | 0x7fu;
    if (magnitude < 0x3c800000u) // below 2^-6: the addition rounds to a multiple of 2^-9
        return sign | (__float_as_uint(__uint_as_float(magnitude) + 16384.0f) - 0x46800000u);
    const uint32_t code = ((magnitude + 0x7ffffu + (magnitude >> 20 & 1u)) >> 20) - (120u << 3);
    return sign | min(code, 0x7eu);
}

// One warp encodes 64 channels that share a scale. x: channels 2 lane and 2 lane + 1.
__device__ __forceinline__ void encode_kv_group(float2 x, int group, const RowFormat &format,
                                                uint8_t *row) {
    const uint32_t byte = e4m3_scale_byte(warp_max(fmaxf(fabsf(x.x), fabsf(x.y))));
    const float inverse = inverse_scale(byte);
    const uint32_t codes =
        float_to_e4m3(__fmul_rn(x.x, inverse)) | float_to_e4m3(__fmul_rn(x.y, inverse)) << 8;
    reinterpret_cast<uint16_t *>(row + group * kKvGroupChannels)[lane()] = uint16_t(codes);
    if (lane() == 0) row[format.channels - format.rotary + group] = uint8_t(byte);
}

// A block encodes a row of shared memory, x [channels]. The row begins at a multiple of 8.
__device__ __forceinline__ void encode_kv_row(const float *x, const RowFormat &format,
                                              uint8_t *row) {
    const int thread = int(threadIdx.x), threads = int(blockDim.x);
    if (!format.is_packed) {
        for (int i = thread; i < format.channels; i += threads)
            reinterpret_cast<float *>(row)[i] = x[i];
        return;
    }
    const int codes = format.channels - format.rotary, groups = codes / kKvGroupChannels,
              tail = kv_row_tail(format);
    for (int group = warp(); group < groups; group += threads / kWarp) {
        const float *from = x + group * kKvGroupChannels + lane() * 2;
        encode_kv_group(make_float2(from[0], from[1]), group, format, row);
    }
    for (int i = codes + groups + thread; i < tail; i += threads) row[i] = 0;
    for (int i = thread; i < format.rotary / 2; i += threads)
        reinterpret_cast<uint32_t *>(row + tail)[i] =
            floats_to_bf16x2(x[codes + 2 * i], x[codes + 2 * i + 1]);
}

} // namespace ds4::kernels
