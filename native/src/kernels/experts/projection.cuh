// Parameters of the kernels of routed experts, the order of their sums, and the use of finished
// sums.
//
// Sums with int8 activations have one order in every form and for every number of lines. 128
// columns are a chain of fused multiply-adds from 0 over four groups of 32. A group's term is its
// exact integer sum times (weight scale * activation scale); its minimums come after its codes.
// 512 columns are the four such sums in order. Then come the sums of 512 in order.
#pragma once
#include "kernels/activations/quantise.cuh"
#include "kernels/experts/experts.h"
#include "kernels/formats/format.cuh"

namespace ds4::kernels::experts {

constexpr int kChunkTiles = 4; // of 512 columns, whose sum is taken first
constexpr int kLines = 8;      // lines that a tile product takes

// One launch: gate and up, whose sums meet, or down.
struct Projection {
    const uint8_t *const *records;
    int64_t offsets[2]; // of the matrices in a record; down has one
    int32_t experts, rows, cols;
    RouteLines lines;
    const float *values;  // [x rows, cols]
    const int8_t *quants; // [x rows, cols]
    const float *scales;  // [x rows, cols / 32]
    // gate and up: f32 [lines, rows], and the same rounded, unless that is null; down: partials
    float *out;
    int8_t *out_quants;
    float *out_scales; // [lines, rows / 32]
    float limit;
};

// A packed matrix: where the tiles and side bytes of its strips lie.
template <typename Format> struct Strips {
    int64_t tiles;
    __device__ explicit Strips(int32_t cols)
        : tiles((cols + formats::kTileCols - 1) / formats::kTileCols) {}
    __device__ __forceinline__ int64_t bytes() const {
        constexpr int64_t kLine = formats::kLineBytes;
        return tiles * Format::kTileBytes +
               (tiles * Format::kSideBytes + kLine - 1) / kLine * kLine; // as strip_bytes()
    }
    __device__ __forceinline__ typename Format::Raw load(const uint8_t *strip, int64_t tile) const {
        return Format::template load<formats::ReadGlobal>(strip + tile * Format::kTileBytes,
                                                          strip + tiles * Format::kTileBytes +
                                                              tile * Format::kSideBytes);
    }
};

// Chunks of so many columns.
__host__ __device__ constexpr int64_t chunks_of(int64_t cols) {
    constexpr int64_t kCols = kChunkTiles * formats::kTileCols;
    return (cols + kCols - 1) / kCols;
}

// Accumulators of integers begin with these bits: they are the float 1.5 * 2^23, and a sum below
// 2^22 makes them the float 1.5 * 2^23 + sum.
constexpr int32_t kFloatBias = 0x4b400000;
__device__ __forceinline__ float biased(int32_t sum) { return __int_as_float(sum) - 12582912.0f; }

// Adds a group to the chain of its 128 columns. minimums: read if the format has any.
template <typename Format>
__device__ __forceinline__ float add_group(float sum, int32_t codes, float scale, int32_t minimums,
                                           float minimum_scale, float x_scale) {
    sum = fmaf(biased(codes), scale * x_scale, sum);
    if constexpr (Format::kHasMinimums)
        sum = fmaf(biased(minimums), -(minimum_scale * x_scale), sum);
    return sum;
}

// silu(min(gate, limit)) * clamp(up, -limit, limit) * weight; NaN stays NaN.
__device__ __forceinline__ float activated(float gate, float up, float limit, float weight) {
    if (limit > 0.0f) {
        gate = limit < gate ? limit : gate;
        up = up < -limit ? -limit : limit < up ? limit : up;
    }
    return gate / (1.0f + expf(-gate)) * up * weight;
}

// The input row of a line: of x for gate and up, its own for down.
template <bool kGated> __device__ __forceinline__ int64_t input_row(const Projection &p, int line) {
    return kGated ? p.lines.row_of[line] : line;
}

// Stores h of 32 channels of a line, a channel a lane, and its rounded form.
__device__ __forceinline__ void store_hidden(const Projection &p, int line, int64_t first,
                                             float gate, float up) {
    const float h = activated(gate, up, p.limit, p.lines.weight_of[line]);
    const int64_t place = int64_t(line) * p.rows + first + device::lane();
    p.out[place] = h;
    if (p.out_quants == nullptr) return;
    const QuantisedLane rounded = quantise_lane(h);
    p.out_quants[place] = rounded.code;
    if (device::lane() == 0) p.out_scales[(int64_t(line) * p.rows + first) / 32] = rounded.scale;
}

} // namespace ds4::kernels::experts
