#include "backend/cpu/blocks/compressor.h"

#include <algorithm>
#include <cmath>

namespace ds4::cpu {

void Compressor::add_position_bias(const CompressorInput &in, int64_t token) {
    const int64_t width = int64_t(in.halves) * in.dim;
    const float *bias = in.position_bias + (in.first + token) % in.ratio * width;
    float *gate = in.gate + token * width;
    for (int64_t i = 0; i < width; i++) gate[i] += bias[i];
}

void Compressor::stage(const CompressorInput &in, CompressorState &state) {
    const int64_t stride = int64_t(in.halves) * in.dim * 4;
    state.values.stage(in.first, in.count, reinterpret_cast<const uint8_t *>(in.values), stride);
    state.scores.stage(in.first, in.count, reinterpret_cast<const uint8_t *>(in.gate), stride);
}

void Compressor::pool_window(const CompressorInput &in, const CompressorState &state,
                             int64_t window, float *entry) {
    constexpr int kMaxCandidates = 128; // 2 * 4 or 128
    struct Candidate {
        const float *score, *value;
    } candidates[kMaxCandidates];
    int count = 0;
    const int64_t width = int64_t(in.halves) * in.dim;
    const auto add = [&](int64_t token, int half) {
        const bool is_new = token >= in.first;
        const float *values = is_new ? in.values + (token - in.first) * width
                                     : reinterpret_cast<const float *>(state.values.row(token));
        const float *scores = is_new ? in.gate + (token - in.first) * width
                                     : reinterpret_cast<const float *>(state.scores.row(token));
        candidates[count++] = {scores + half * in.dim, values + half * in.dim};
    };
    // With two halves, the first half of a token belongs to the window after its own, the second to
    // its own.
    if (in.halves == 2 && window > 0)
        for (int64_t t = (window - 1) * in.ratio; t < window * in.ratio; t++) add(t, 0);
    for (int64_t t = window * in.ratio; t < (window + 1) * in.ratio; t++) add(t, in.halves - 1);
    for (int j = 0; j < in.dim; j++) {
        float highest = -INFINITY;
        for (int i = 0; i < count; i++) highest = std::max(highest, candidates[i].score[j]);
        float sum = 0.0f, weighted = 0.0f;
        for (int i = 0; i < count; i++) {
            const float weight = std::exp(candidates[i].score[j] - highest);
            sum += weight;
            weighted += weight * candidates[i].value[j];
        }
        entry[j] = sum > 0.0f ? weighted / sum : 0.0f;
    }
}

} // namespace ds4::cpu
