// Softmax attention of a block of heads of one query, with a sink. This part of attention knows no
// cache.
#pragma once
#include "backend/cpu/buffer.h"
#include "backend/cpu/context.h"

namespace ds4::cpu {

constexpr int64_t kHeadBlock = 8; // heads of one work item; they share the rows they read

struct HeadsInput {
    const Shape &shape;
    const VectorKernels &vectors;
    const float *sinks; // [heads]
};
// Keys, which are the values too: f32 rows of head_dim channels, window rows first.
struct HeadsRows {
    const float *window;
    int64_t window_count;
    const float *compressed;
    int64_t compressed_count;
};
// Output in groups, as the output projection reads it: [o_groups, rows, group_width].
struct HeadsOutput {
    float *values;
    int64_t row, rows;
};

// q [heads, head_dim] of the query's token, angles [rope_dim] of its position. Writes heads
// begin..end-1 with the rotation undone.
void attend_heads(const HeadsInput &in, const HeadsRows &keys, const float *q, const float *angles,
                  int64_t begin, int64_t end, Buffer &scratch, const HeadsOutput &out);

} // namespace ds4::cpu
