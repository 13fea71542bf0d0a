// Softmax attention of a block of heads of one query, with a sink. This part of attention knows no
// cache.
//
// Long lists of compressed rows are summed in slices, each with its own maximum, which are merged
// in order. The slices depend on the number of rows alone, so a result does not depend on threads.
#pragma once
#include "backend/cpu/buffer.h"
#include "backend/cpu/context.h"
#include "backend/cpu/kernels/tile_attention.h"

namespace ds4::cpu {

constexpr int64_t kHeadBlock = 8;    // heads of one work item; they share the rows they read
constexpr int64_t kSliceRows = 1024; // compressed rows of one slice; the first has the window too

struct HeadsInput {
    const Shape &shape;
    const VectorKernels &vectors;
    const float *sinks;         // [heads]
    const TileAttention *tiles; // null: rows are f32
};
// Keys, which are the values too: rows of head_dim channels, window rows first. They are f32, or in
// chunks (kernels/tile_attention.h), of which compressed rows begin one.
struct HeadsRows {
    const void *window;
    int64_t window_first; // of the chunks; 0 with f32 rows
    int64_t window_count;
    const void *compressed;
    int64_t compressed_count;

    int64_t slices() const {
        return compressed_count <= kSliceRows ? 1
                                              : (compressed_count + kSliceRows - 1) / kSliceRows;
    }
};
// Output in groups, as the output projection reads it: [o_groups, rows, group_width].
struct HeadsOutput {
    float *values;
    int64_t row, rows;
};
// Floats of one head's sums over a slice: the largest score, the sum of weights, then the weighted
// sum of rows [head_dim].
inline int64_t partial_floats(const Shape &shape) { return shape.head_dim + 2; }

// Bytes of keys in memory.
inline int64_t key_bytes(int64_t rows, int64_t dim, bool is_tiled) {
    return is_tiled ? tiled_rows_bytes(rows, dim) : rows * dim * 4;
}
// Floats of scratch for a slice of `rows` rows, window included.
inline int64_t slice_floats(int64_t dim, int64_t rows, int64_t heads, bool is_tiled) {
    return is_tiled ? tile_scratch_bytes(rows + 2 * kChunkRows, dim) / 4 + 16
                    : heads * (rows + dim);
}

// q [heads, head_dim] of the query's token, angles [rope_dim] of its position. Writes heads
// begin..end-1 with the rotation undone.
void attend_heads(const HeadsInput &in, const HeadsRows &keys, const float *q, const float *angles,
                  int64_t begin, int64_t end, Buffer &scratch, const HeadsOutput &out);

// Attention in two acts, so that slices can run on several threads. First the sums of one slice.
// scratch is [slice_floats], partials are [end - begin, partial_floats].
int64_t slice_floats(const HeadsInput &in, const HeadsRows &keys, int64_t heads);
void attend_slice(const HeadsInput &in, const HeadsRows &keys, int64_t slice, const float *q,
                  int64_t begin, int64_t end, float *scratch, float *partials);
// Then the output of one head. The sums of its slices lie `stride` floats apart and change.
void finish_head(const HeadsInput &in, float *partials, int64_t slices, int64_t stride,
                 const float *angles, int64_t head, const HeadsOutput &out);

} // namespace ds4::cpu
