// The products of one launch: they share a weight format and a form of input.
#pragma once
#include <cstdint>

#include "device/device.h"

namespace ds4::kernels::matmul_detail {

// The common pairs of a weight format and an input, which one launch may have side by side.
enum class Kind : int32_t { f32, f16, bf16, q8_0_int8, f8_e4m3_bf16, other };

struct BatchEntry {
    const uint8_t *weight;
    const float *values;    // [rows, cols]
    const int8_t *quants;   // [rows, cols]
    const float *scales;    // [rows, cols / 32]
    const uint16_t *halves; // [rows, cols]
    float *y;
    int64_t y_stride;
    int64_t strip_bytes;
    int32_t out_rows, cols, strips, tiles;
    int32_t slice_tiles; // of each of the kSlices parts of the columns
    int32_t first_block; // of the launch, along x
    int32_t blocks;
    Kind kind;
};

constexpr int kBatchEntries = 8;
struct Batch {
    BatchEntry entries[kBatchEntries];
    int32_t count, rows;
};

// Sums go through the tiles of a slice in order, then through the slices. Few rows: a warp has a
// slice. Many rows: a warp has them all, one after another.
constexpr int kSlices = 8;

// How many the GPU has that products run on.
int multiprocessors();
// Shared memory for the longest row of x of the products that take f32.
int64_t row_bytes_f32(const Batch &batch);
constexpr int64_t kMostRowBytes = 64 * 1024; // longer rows take the form for eight
// Gives each product its blocks, in proportion to its bytes and at most one a strip. There are
// about `blocks` in all. Returns their number.
int64_t share_blocks(Batch &batch, int64_t blocks);
// The same with one block for so many strips.
int64_t give_each_its_strips(Batch &batch, int strips_of_block);

// Up to eight rows, any kinds but `other`.
constexpr int kMixedRows = 8;
void multiply_mixed(Batch &batch, device::Stream &stream);

// One function a weight format. is_exact: f32 whatever the format.
using MultiplyBatch = void (*)(Batch &batch, bool is_exact, device::Stream &stream);
void multiply_f32(Batch &batch, bool is_exact, device::Stream &stream);
void multiply_f16(Batch &batch, bool is_exact, device::Stream &stream);
void multiply_bf16(Batch &batch, bool is_exact, device::Stream &stream);
void multiply_q8_0(Batch &batch, bool is_exact, device::Stream &stream);
void multiply_f8_e4m3(Batch &batch, bool is_exact, device::Stream &stream);
void multiply_q2_k(Batch &batch, bool is_exact, device::Stream &stream);
void multiply_q4_k(Batch &batch, bool is_exact, device::Stream &stream);
void multiply_iq2_xxs(Batch &batch, bool is_exact, device::Stream &stream);
void multiply_mxfp4(Batch &batch, bool is_exact, device::Stream &stream); // FP4_PACKED too

} // namespace ds4::kernels::matmul_detail
