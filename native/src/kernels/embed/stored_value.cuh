// One value of a row in the file's order, for any type that a file stores. It is exact: the same as
// decode_row of format/convert.h.
#pragma once
#include "device/kernel.h"
#include "ds4.h"
#include "format/blocks.h"

namespace ds4::kernels {

// The codebook of IQ2_XXS (format/iq2xxs.h), as levels.
struct GridLevels {
    uint16_t rows[256];
};

__device__ __forceinline__ uint16_t u16_at(const uint8_t *bytes) {
    return uint16_t(bytes[0] | bytes[1] << 8);
}
__device__ __forceinline__ uint32_t u32_at(const uint8_t *bytes) {
    return uint32_t(u16_at(bytes)) | uint32_t(u16_at(bytes + 2)) << 16;
}
__device__ __forceinline__ float f16_at(const uint8_t *bytes) {
    return device::f16_to_float(u16_at(bytes));
}
// 0 is the subnormal 2^-127, 255 is NaN.
__device__ __forceinline__ float e8m0_value(uint8_t e) {
    if (e == 255) return __uint_as_float(0x7fc00000u);
    return __uint_as_float(e == 0 ? 0x00400000u : uint32_t(e) << 23);
}
// The nibbles of the word are the magnitudes, doubled: 0, 1, 2, 3, 4, 6, 8, 12.
__device__ __forceinline__ float e2m1_value(uint32_t code) {
    const float magnitude = float(0xc8643210u >> (4 * (code & 7u)) & 15u) * 0.5f;
    return (code & 8u) != 0 ? -magnitude : magnitude;
}
__device__ __forceinline__ float e4m3_value(uint8_t code) {
    return device::f16_to_float(uint16_t(device::e4m3x2_to_f16x2(code)));
}

__device__ __forceinline__ float q8_0_value(const uint8_t *row, int i) {
    const BlockQ8_0 &block = reinterpret_cast<const BlockQ8_0 *>(row)[i / 32];
    return f16_at(block.d) * float(block.q[i % 32]);
}

__device__ __forceinline__ float q2_k_value(const uint8_t *row, int channel) {
    const BlockQ2K &block = reinterpret_cast<const BlockQ2K *>(row)[channel / 256];
    const int i = channel % 256, shift = i % 128 / 32 * 2;
    const int q = (block.q[32 * (i / 128) + i % 32] >> shift) & 3, scale = block.scales[i / 16];
    return f16_at(block.d) * float((scale & 15) * q) - f16_at(block.dmin) * float(scale >> 4);
}

__device__ __forceinline__ float q4_k_value(const uint8_t *row, int channel) {
    const BlockQ4K &block = reinterpret_cast<const BlockQ4K *>(row)[channel / 256];
    const int i = channel % 256, j = i / 32;
    const uint8_t *s = block.scales;
    const int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4,
              min = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4;
    const int pair = block.q[32 * (j / 2) + i % 32], code = j % 2 == 0 ? pair & 15 : pair >> 4;
    return f16_at(block.d) * float(scale * code) - f16_at(block.dmin) * float(min);
}

__device__ __forceinline__ float iq2_xxs_value(const uint8_t *row, int channel,
                                               const GridLevels &grid) {
    const BlockIq2Xxs &block = reinterpret_cast<const BlockIq2Xxs *>(row)[channel / 256];
    const int i = channel % 256, k = i % 32 / 8, j = i % 8;
    const uint8_t *group = block.groups[i / 32];
    const uint32_t word = u32_at(group + 4), index = word >> (7 * k) & 127u;
    const float scale = f16_at(block.d) * (0.5f + float(word >> 28)) * 0.25f;
    const int level = grid.rows[group[k]] >> (2 * j) & 3;
    const float value = scale * float(level == 0 ? 8 : level == 1 ? 25 : 43);
    // The eighth sign makes the number of negative ones even.
    const uint32_t sign = j < 7 ? index >> j & 1u : uint32_t(__popc(index)) & 1u;
    return sign != 0 ? -value : value;
}

__device__ __forceinline__ float mxfp4_value(const uint8_t *row, int i) {
    const BlockMxfp4 &block = reinterpret_cast<const BlockMxfp4 *>(row)[i / 32];
    const uint8_t pair = block.q[i % 16];
    return e8m0_value(block.e) * e2m1_value(i % 32 < 16 ? pair & 15u : uint32_t(pair >> 4));
}

// scales: of this row, for F8_E4M3 (one per 128 values) and FP4_PACKED (one per 32).
__device__ __forceinline__ float stored_value(uint32_t type, const uint8_t *row,
                                              const uint8_t *scales, const GridLevels &grid,
                                              int i) {
    switch (type) {
    case DS4_TYPE_F32: return __uint_as_float(u32_at(row + int64_t(i) * 4));
    case DS4_TYPE_F16: return f16_at(row + int64_t(i) * 2);
    case DS4_TYPE_BF16: return device::bf16_to_float(u16_at(row + int64_t(i) * 2));
    case DS4_TYPE_Q8_0: return q8_0_value(row, i);
    case DS4_TYPE_Q2_K: return q2_k_value(row, i);
    case DS4_TYPE_Q4_K: return q4_k_value(row, i);
    case DS4_TYPE_IQ2_XXS: return iq2_xxs_value(row, i, grid);
    case DS4_TYPE_MXFP4: return mxfp4_value(row, i);
    case DS4_TYPE_F8_E4M3: return e8m0_value(scales[i / 128]) * e4m3_value(row[i]);
    default:
        return e8m0_value(scales[i / 32]) * e2m1_value(row[i / 2] >> (i % 2 * 4)); // FP4_PACKED
    }
}

} // namespace ds4::kernels
