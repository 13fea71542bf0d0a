#include "backend/cpu/blocks/attend_heads.h"

#include <algorithm>
#include <cmath>

namespace ds4::cpu {

void attend_heads(const HeadsInput &in, const HeadsRows &keys, const float *q, const float *angles,
                  int64_t begin, int64_t end, Buffer &scratch, const HeadsOutput &out) {
    const int64_t dim = in.shape.head_dim, heads = end - begin,
                  count = keys.window_count + keys.compressed_count;
    const int64_t per_group = in.shape.heads / in.shape.o_groups,
                  group_width = in.shape.group_width();
    const int rotary = in.shape.rope_dim;
    float *scores = scratch.get<float>(heads * count + heads * dim), *sums = scores + heads * count;
    in.vectors.score_rows(scores, count, q + begin * dim, keys.window, heads, keys.window_count,
                          dim);
    if (keys.compressed_count > 0)
        in.vectors.score_rows(scores + keys.window_count, count, q + begin * dim, keys.compressed,
                              heads, keys.compressed_count, dim);
    float inverse[kHeadBlock];
    const float scale = float(1.0 / std::sqrt(double(dim)));
    for (int64_t h = 0; h < heads; h++) {
        float *s = scores + h * count, highest = in.sinks[begin + h];
        for (int64_t i = 0; i < count; i++) s[i] *= scale, highest = std::max(highest, s[i]);
        float total =
            std::exp(in.sinks[begin + h] - highest); // the sink adds to the denominator only
        for (int64_t i = 0; i < count; i++) s[i] = std::exp(s[i] - highest), total += s[i];
        inverse[h] = 1.0f / total;
    }
    std::fill_n(sums, heads * dim, 0.0f);
    in.vectors.weighted_rows(sums, scores, count, keys.window, heads, keys.window_count, dim);
    if (keys.compressed_count > 0)
        in.vectors.weighted_rows(sums, scores + keys.window_count, count, keys.compressed, heads,
                                 keys.compressed_count, dim);
    for (int64_t h = 0; h < heads; h++) {
        const int64_t head = begin + h, group = head / per_group;
        float *to =
            out.values + (group * out.rows + out.row) * group_width + head % per_group * dim;
        for (int64_t d = 0; d < dim; d++) to[d] = sums[h * dim + d] * inverse[h];
        rotate(to + dim - rotary, angles, rotary, true); // undoes the rotation of the values
    }
}

} // namespace ds4::cpu
