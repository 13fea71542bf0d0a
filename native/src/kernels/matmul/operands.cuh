// How a warp multiplies a tile of a weight format with rows of activations, for each form of input.
// Each form keeps sums of rows lane / 4 and lane / 4 + 8 of the strip.
//
// A sum goes through the groups of a tile in order:
//   int8  sum = fma(exact dot of the group, weight scale * activation scale, sum)
//   bf16  sum = fma(f32 sum of the tile in mma order, scale, sum)
//   f32   an fma chain in each lane over its eight columns of each group; the four lanes of a row
//         are added when a slice ends
#pragma once
#include "kernels/formats/format.cuh"
#include "kernels/matmul/batch.h"

namespace ds4::kernels::matmul_detail {

using formats::GroupCodes;
using formats::GroupHalves;
using formats::kTileCols;
using formats::kTileGroups;

// An integer below 2^22 added to these bits gives the float 1.5 * 2^23 + integer.
constexpr int32_t kFloatBits = 0x4b400000;
__device__ __forceinline__ float biased_to_float(int32_t sum) {
    return __int_as_float(sum) - 12582912.0f;
}

// int8 activations of a tile for eight rows. A lane has the codes of row lane / 4, and the scales
// of rows 2 (lane % 4) and + 1.
struct QuantsOfTile {
    uint2 quants[kTileGroups];
    float scales[kTileGroups][2];
};

// sums[i] += the group's product; i as in mma: row + 8 (i / 2), row of x 2 (lane % 4) + i % 2.
template <typename Format>
__device__ __forceinline__ void add_group(float (&sums)[4], const GroupCodes &weight,
                                          const uint2 &quants, const float (&scales)[2]) {
    const uint32_t b[2] = {quants.x, quants.y};
    int32_t dots[4] = {kFloatBits, kFloatBits, kFloatBits, kFloatBits};
    device::mma_s8(dots, weight.codes, b);
#pragma unroll
    for (int i = 0; i < 4; i++)
        sums[i] =
            fmaf(biased_to_float(dots[i]), __fmul_rn(weight.scale[i / 2], scales[i % 2]), sums[i]);
    if constexpr (Format::kHasMinimums) {
        int32_t minimums[4] = {kFloatBits, kFloatBits, kFloatBits, kFloatBits};
        device::mma_s8(minimums, weight.minimums, b);
#pragma unroll
        for (int i = 0; i < 4; i++)
            sums[i] = fmaf(-biased_to_float(minimums[i]),
                           __fmul_rn(weight.minimum_scale[i / 2], scales[i % 2]), sums[i]);
    }
}

// The bf16 A fragments of a whole tile.
struct HalvesOfTile {
    GroupHalves groups[kTileGroups];
    float scale;

    template <typename Format>
    static __device__ __forceinline__ HalvesOfTile of(const typename Format::Raw &raw) {
        HalvesOfTile tile;
#pragma unroll
        for (int i = 0; i < kTileGroups; i++) Format::halves(raw, i, tile.groups[i]);
        tile.scale = Format::scale(raw);
        return tile;
    }
    // x: columns 8 (lane % 4) .. + 7 of each group of row lane / 4.
    __device__ __forceinline__ void add(float (&sums)[4], const uint4 (&x)[kTileGroups]) const {
        float dots[4] = {};
#pragma unroll
        for (int i = 0; i < kTileGroups; i++) {
            const uint32_t low[2] = {x[i].x, x[i].y}, high[2] = {x[i].z, x[i].w};
            device::mma_bf16(dots, groups[i].a[0], low);
            device::mma_bf16(dots, groups[i].a[1], high);
        }
#pragma unroll
        for (int i = 0; i < 4; i++) sums[i] = fmaf(dots[i], scale, sums[i]);
    }
};

// Eight columns of one group of two weight rows times a row of x.
__device__ __forceinline__ void add_values(float (&sums)[2], const float (&weight)[2][8],
                                           const float4 &low, const float4 &high) {
    const float x[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
    for (int i = 0; i < 8; i++) {
        sums[0] = fmaf(weight[0][i], x[i], sums[0]);
        sums[1] = fmaf(weight[1][i], x[i], sums[1]);
    }
}
// The sum of the four lanes of a row, in all of them.
__device__ __forceinline__ float sum_of_row(float value) {
    value += __shfl_xor_sync(device::kAllLanes, value, 1);
    return value + __shfl_xor_sync(device::kAllLanes, value, 2);
}

// The entry of a block of the launch.
__device__ __forceinline__ const BatchEntry &entry_of_block(const Batch &batch, int block) {
    int at = 0;
    while (at + 1 < batch.count && block >= batch.entries[at + 1].first_block) at++;
    return batch.entries[at];
}

// Reads a tile of a strip.
template <typename Format>
__device__ __forceinline__ typename Format::Raw load_tile(const BatchEntry &entry, int strip,
                                                          int tile) {
    const uint8_t *tiles = entry.weight + strip * entry.strip_bytes;
    return Format::template load<formats::ReadGlobal>(
        tiles + int64_t(tile) * Format::kTileBytes,
        tiles + int64_t(entry.tiles) * Format::kTileBytes + int64_t(tile) * Format::kSideBytes);
}

} // namespace ds4::kernels::matmul_detail
