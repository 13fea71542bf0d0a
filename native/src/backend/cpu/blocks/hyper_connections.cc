#include "backend/cpu/blocks/hyper_connections.h"

#include <algorithm>
#include <cmath>

namespace ds4::cpu {
namespace {

constexpr int kMaxStreams = 16; // Shape's limit

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

void normalise_rows(float *comb, int n, float epsilon) {
    for (int j = 0; j < n; j++) {
        float sum = 0.0f;
        for (int k = 0; k < n; k++) sum += comb[j * n + k];
        for (int k = 0; k < n; k++) comb[j * n + k] /= sum + epsilon;
    }
}

void normalise_columns(float *comb, int n, float epsilon) {
    for (int k = 0; k < n; k++) {
        float sum = 0.0f;
        for (int j = 0; j < n; j++) sum += comb[j * n + k];
        for (int j = 0; j < n; j++) comb[j * n + k] /= sum + epsilon;
    }
}

} // namespace

void hyper_connection_weights(const Shape &shape, const float *mix, const float *base,
                              const float *scale, float *pre, float *post, float *comb) {
    const int n = shape.streams;
    const float epsilon = shape.hc_epsilon;
    for (int i = 0; i < n; i++) pre[i] = sigmoid(scale[0] * mix[i] + base[i]) + epsilon;
    for (int i = 0; i < n; i++) post[i] = 2.0f * sigmoid(scale[1] * mix[n + i] + base[n + i]);
    for (int j = 0; j < n; j++) {
        const float *row_mix = mix + 2 * n + j * n, *row_base = base + 2 * n + j * n;
        float *row = comb + j * n, highest = -INFINITY, sum = 0.0f;
        for (int k = 0; k < n; k++)
            row[k] = scale[2] * row_mix[k] + row_base[k], highest = std::max(highest, row[k]);
        for (int k = 0; k < n; k++) row[k] = std::exp(row[k] - highest), sum += row[k];
        for (int k = 0; k < n; k++) row[k] = row[k] / sum + epsilon;
    }
    normalise_columns(comb, n, epsilon);
    for (int i = 1; i < shape.sinkhorn_iterations; i++) {
        normalise_rows(comb, n, epsilon);
        normalise_columns(comb, n, epsilon);
    }
}

float *HyperConnections::mix(const MixWeights &weights, const float *streams, const int32_t *rows,
                             int64_t count) {
    const int64_t width = context_.shape.hc_width(), outputs = weights.fn.rows;
    float *mix = mix_.get<float>(count * outputs);
    Activations x;
    x.count = count, x.cols = width, x.values = streams;
    const Product product{weights.fn, &x, rows, count, mix, outputs};
    multiply(context_.pool, context_.isa, {&product, 1});
    context_.each(count, [&](int64_t t) {
        const float *v = streams + (rows == nullptr ? t : rows[t]) * width;
        const float scale = 1.0f / std::sqrt(context_.vectors.sum_squares(v, width) / float(width) +
                                             context_.shape.norm_epsilon);
        for (int64_t i = 0; i < outputs; i++) mix[t * outputs + i] *= scale;
    });
    return mix;
}

void HyperConnections::collapse(const MixWeights &weights, const float *streams, int64_t count,
                                float *x, float *post, float *comb) {
    const int n = context_.shape.streams;
    const int64_t hidden = context_.shape.hidden;
    const float *values = mix(weights, streams, nullptr, count);
    context_.each(count, [&](int64_t t) {
        float pre[kMaxStreams];
        hyper_connection_weights(context_.shape, values + t * weights.fn.rows, weights.base.data(),
                                 weights.scale.data(), pre, post + t * n, comb + t * n * n);
        const float *in = streams + t * n * hidden;
        float *out = x + t * hidden;
        for (int64_t d = 0; d < hidden; d++) out[d] = pre[0] * in[d];
        for (int j = 1; j < n; j++)
            context_.vectors.add_scaled(out, pre[j], in + j * hidden, hidden);
    });
}

void HyperConnections::expand(const float *y, const float *post, const float *comb, int64_t count,
                              float *streams) const {
    const int n = context_.shape.streams;
    const int64_t hidden = context_.shape.hidden;
    constexpr int64_t kBlock =
        256; // channels of one work item: all streams of a block stay in the first-level cache
    const int64_t blocks = (hidden + kBlock - 1) / kBlock;
    context_.each(count * blocks, [&](int64_t item) {
        const int64_t t = item / blocks, begin = item % blocks * kBlock,
                      width = std::min(kBlock, hidden - begin);
        float old[kMaxStreams * kBlock];
        float *state = streams + t * n * hidden + begin;
        for (int j = 0; j < n; j++) std::copy_n(state + j * hidden, width, old + j * kBlock);
        for (int k = 0; k < n; k++) {
            float *out = state + k * hidden;
            const float share = post[t * n + k];
            for (int64_t d = 0; d < width; d++) out[d] = share * y[t * hidden + begin + d];
            for (int j = 0; j < n; j++)
                context_.vectors.add_scaled(out, comb[(t * n + j) * n + k], old + j * kBlock,
                                            width);
        }
    });
}

void HyperConnections::collapse_head(const MixWeights &weights, const float *streams,
                                     const int32_t *rows, int64_t count, float *x) {
    const int n = context_.shape.streams;
    const int64_t hidden = context_.shape.hidden;
    const float *values = mix(weights, streams, rows, count);
    context_.each(count, [&](int64_t t) {
        const float *in = streams + rows[t] * n * hidden;
        float *out = x + t * hidden;
        std::fill_n(out, hidden, 0.0f);
        for (int j = 0; j < n; j++) {
            const float weight =
                sigmoid(weights.scale[0] * values[t * n + j] + weights.base[size_t(j)]) +
                context_.shape.hc_epsilon;
            context_.vectors.add_scaled(out, weight, in + j * hidden, hidden);
        }
    });
}

} // namespace ds4::cpu
