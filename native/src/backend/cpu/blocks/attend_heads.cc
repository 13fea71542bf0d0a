#include "backend/cpu/blocks/attend_heads.h"

#include <algorithm>
#include <cmath>

namespace ds4::cpu {
namespace {

constexpr int64_t kHighest = 0, kTotal = 1, kSums = 2; // places in a partial

float score_scale(const Shape &shape) { return float(1.0 / std::sqrt(double(shape.head_dim))); }

// attend_slice on tile registers.
void attend_tiles(const HeadsInput &in, const HeadsRows &keys, int64_t slice, const float *q,
                  int64_t begin, int64_t end, float *scratch, float *partials) {
    const int64_t dim = in.shape.head_dim, first = slice * kSliceRows;
    const TiledRows window{static_cast<const uint8_t *>(keys.window), keys.window_first,
                           slice == 0 ? keys.window_count : 0},
        compressed{static_cast<const uint8_t *>(keys.compressed), first,
                   std::min(kSliceRows, keys.compressed_count - first)};
    const uintptr_t place = reinterpret_cast<uintptr_t>(scratch);
    in.tiles->attend({q + begin * dim, end - begin, dim, score_scale(in.shape),
                      slice == 0 ? in.sinks + begin : nullptr},
                     window, compressed, reinterpret_cast<uint8_t *>((place + 63) / 64 * 64),
                     partials, partial_floats(in.shape));
}

// Adds the sums of a later slice to those of the earlier ones.
void merge(float *sum, const float *slice, int64_t dim) {
    const float highest = std::max(sum[kHighest], slice[kHighest]),
                old_weight = std::exp(sum[kHighest] - highest),
                new_weight = std::exp(slice[kHighest] - highest);
    sum[kHighest] = highest;
    for (int64_t i = kTotal; i < kSums + dim; i++)
        sum[i] = sum[i] * old_weight + slice[i] * new_weight;
}

void write_head(const HeadsInput &in, const float *partial, const float *angles, int64_t head,
                const HeadsOutput &out) {
    const int64_t dim = in.shape.head_dim, per_group = in.shape.heads / in.shape.o_groups;
    const int rotary = in.shape.rope_dim;
    float *to = out.values + (head / per_group * out.rows + out.row) * in.shape.group_width() +
                head % per_group * dim;
    const float inverse = 1.0f / partial[kTotal];
    for (int64_t d = 0; d < dim; d++) to[d] = partial[kSums + d] * inverse;
    rotate(to + dim - rotary, angles, rotary, true); // undoes the rotation of the values
}

} // namespace

int64_t slice_floats(const HeadsInput &in, const HeadsRows &keys, int64_t heads) {
    const int64_t rows = keys.window_count + std::min(kSliceRows, keys.compressed_count);
    return slice_floats(in.shape.head_dim, rows, heads, in.tiles != nullptr);
}

void attend_slice(const HeadsInput &in, const HeadsRows &keys, int64_t slice, const float *q,
                  int64_t begin, int64_t end, float *scratch, float *partials) {
    if (in.tiles != nullptr) return attend_tiles(in, keys, slice, q, begin, end, scratch, partials);
    const int64_t dim = in.shape.head_dim, heads = end - begin, stride = partial_floats(in.shape);
    const int64_t window = slice == 0 ? keys.window_count : 0, first = slice * kSliceRows,
                  compressed = std::min(kSliceRows, keys.compressed_count - first),
                  count = window + compressed;
    const float *recent = static_cast<const float *>(keys.window),
                *entries = static_cast<const float *>(keys.compressed) + first * dim;
    float *scores = scratch, *sums = scores + heads * count;
    if (window > 0)
        in.vectors.score_rows(scores, count, q + begin * dim, recent, heads, window, dim);
    if (compressed > 0)
        in.vectors.score_rows(scores + window, count, q + begin * dim, entries, heads, compressed,
                              dim);
    for (int64_t h = 0; h < heads; h++) { // the sink adds to the denominator only, and once
        const Softening row = in.vectors.soften(scores + h * count, count, score_scale(in.shape),
                                                slice == 0 ? in.sinks[begin + h] : -INFINITY);
        partials[h * stride + kHighest] = row.highest, partials[h * stride + kTotal] = row.total;
    }
    std::fill_n(sums, heads * dim, 0.0f);
    if (window > 0) in.vectors.weighted_rows(sums, scores, count, recent, heads, window, dim);
    if (compressed > 0)
        in.vectors.weighted_rows(sums, scores + window, count, entries, heads, compressed, dim);
    for (int64_t h = 0; h < heads; h++)
        std::copy_n(sums + h * dim, dim, partials + h * stride + kSums);
}

void finish_head(const HeadsInput &in, float *partials, int64_t slices, int64_t stride,
                 const float *angles, int64_t head, const HeadsOutput &out) {
    for (int64_t slice = 1; slice < slices; slice++)
        merge(partials, partials + slice * stride, in.shape.head_dim);
    write_head(in, partials, angles, head, out);
}

void attend_heads(const HeadsInput &in, const HeadsRows &keys, const float *q, const float *angles,
                  int64_t begin, int64_t end, Buffer &scratch, const HeadsOutput &out) {
    const int64_t stride = partial_floats(in.shape), heads = end - begin;
    float *sums = scratch.get<float>(2 * heads * stride + slice_floats(in, keys, heads)),
          *slice_sums = sums + heads * stride, *rest = slice_sums + heads * stride;
    attend_slice(in, keys, 0, q, begin, end, rest, sums);
    for (int64_t slice = 1; slice < keys.slices(); slice++) {
        attend_slice(in, keys, slice, q, begin, end, rest, slice_sums);
        for (int64_t h = 0; h < heads; h++)
            merge(sums + h * stride, slice_sums + h * stride, in.shape.head_dim);
    }
    for (int64_t h = 0; h < heads; h++) write_head(in, sums + h * stride, angles, begin + h, out);
}

} // namespace ds4::cpu
