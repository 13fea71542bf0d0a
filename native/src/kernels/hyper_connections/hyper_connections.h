// Hyper-connections (docs/numerics.md#hyper-connections): the weighted sum of the streams that a
// sublayer reads, and the streams that take up its output.
#pragma once
#include "device/device.h"
#include "kernels/step/step_table.h"

namespace ds4::kernels {

// Floats of scratch that collapse_streams and collapse_head take for so many rows.
int64_t collapse_scratch(int64_t rows, int32_t stream_count, int32_t hidden);

struct CollapseParams {
    const float *streams; // [rows, streams, hidden]
    const float *fn;      // [(2 + streams) streams, streams * hidden] f32, row-major
    const float *base;    // [(2 + streams) streams]
    const float *scale;   // [3]
    const float *norm;    // [hidden] weight of the RMS norm of x
    int32_t rows, stream_count, hidden, sinkhorn_iterations;
    float norm_epsilon, hc_epsilon;
    float *scratch; // [collapse_scratch()]
    float *x;       // out [rows, hidden], after the norm
    float *post;    // out [rows, streams]
    float *comb;    // out [rows, streams, streams], row is source, column is destination
};
// A row's result does not depend on the number of rows. Pointers at multiples of 16; hidden: a
// multiple of 4; at most 16 streams.
void collapse_streams(const CollapseParams &params, device::Stream &stream);

struct ExpandParams {
    const float *y;    // [rows, hidden] output of the sublayer
    const float *post; // [rows, streams]
    const float *comb; // [rows, streams, streams]
    int32_t rows, stream_count, hidden;
    float *streams; // in and out [rows, streams, hidden]
};
void expand_streams(const ExpandParams &params, device::Stream &stream);

// Before the output matrix: some rows only.
struct CollapseHeadParams {
    const float *streams;       // [all rows, streams, hidden]
    const int32_t *row_indices; // [rows] of the streams; a negative one is skipped
    const float *fn;            // [streams, streams * hidden] f32
    const float *base;          // [streams]
    const float *scale;         // [1]
    const float *norm;          // [hidden]
    int32_t rows, stream_count, hidden;
    float norm_epsilon, hc_epsilon;
    float *scratch;   // [collapse_scratch()]
    float *collapsed; // out [rows, hidden] before the norm
    float *x;         // out [rows, hidden] after the norm; may be `collapsed`
};
void collapse_head(const CollapseHeadParams &params, device::Stream &stream);

} // namespace ds4::kernels
