// The operands of a product. Plain structs only: the files of one instruction set include this
// header and must not instantiate anything of the standard library.
#pragma once
#include <cstdint>

#include "machine/instruction_sets.h"

namespace ds4::cpu {

// The form in which activations enter a product.
// f32: float products of the exactly decoded weight, float sums.
// int8: activations rounded to int8 per 32 channels (scale amax/127), exact integer sums inside a
// group, float sums over groups. Only block types (Q8_0, MXFP4, FP4_PACKED, Q2_K, Q4_K, IQ2_XXS)
// take it; the others fall back to f32.
// int8_bf16: as int8, and rounded to bf16 for F8_E4M3 that is packed.
enum class Precision { f32, int8, int8_bf16 };

// A weight matrix where it lies in the mapped file. Not owning.
struct Matrix {
    uint32_t type = 0; // DS4_TYPE_*
    int64_t rows = 0, cols = 0;
    const uint8_t *data = nullptr;   // rows * row bytes, any alignment
    const uint8_t *scales = nullptr; // F8_E4M3 and FP4_PACKED only
    const uint8_t *strips = nullptr; // the same weights packed (strips.h); null: they are not
};

// Channels that the kernels take at a time; activation rows are padded to it with zeros.
inline constexpr int64_t kGroupChannels = 128;
inline constexpr int64_t kGroupBlocks = 4; // of 32 channels, one activation scale each

// An integer below 2^22 added to these bits gives the float 1.5 * 2^23 + integer.
inline constexpr int32_t kFloatBias = 0x4b400000;

// 128 channels of one row rounded to int8. The first halves of the four blocks of 32 come first,
// then the second halves. Channel 32 b + i lies at 16 b + i (i < 16) or 64 + 16 b + i - 16.
struct alignas(64) ActivationGroup {
    int8_t quants[128];
    // Lane l: -128 * the sum of quants 4l..4l+3 and 64+4l..64+4l+3. Sums with weights + 128 start
    // from it.
    int32_t sums[16];
    float scales[4];     // of blocks 0..3; NaN for a block that holds a NaN or an infinity
    int32_t starts[4];   // of blocks 0..3, for strips: kFloatBias - 128 * the sum of its quants
    uint8_t padding[32]; // vectors of a group stay aligned
};
static_assert(sizeof(ActivationGroup) == 256);

// Rows of activations with the forms that products need, made once and shared by all products of
// the same vector. The caller owns the memory: activation_bytes() of it, 64-byte aligned. P = cols
// rounded up to 128.
struct Activations {
    int64_t count = 0, cols = 0;
    Precision precision = Precision::f32;
    const float *values = nullptr;           // [count, cols], the caller's, always present
    const ActivationGroup *groups = nullptr; // [count, P / 128], unless precision is f32
    // bf16, only if precision is int8_bf16: [cols / 512 rounded up, count, kHalvesStride]. Zeros
    // past cols. Magnitudes below 2^-100 are zero, so that no product is denormal.
    const uint16_t *halves = nullptr;
};
// Inputs of a row that lie together, and the distance of rows, which is one cache line more. Rows a
// power of two apart would fall into few sets of the first-level cache.
inline constexpr int64_t kHalvesInputs = 512, kHalvesStride = kHalvesInputs + 32;
inline int64_t halves_count(int64_t count, int64_t cols) {
    return (cols + kHalvesInputs - 1) / kHalvesInputs * count * kHalvesStride;
}

} // namespace ds4::cpu
