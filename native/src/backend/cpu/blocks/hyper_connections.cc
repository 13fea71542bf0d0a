#include "backend/cpu/blocks/hyper_connections.h"

#include <algorithm>
#include <cmath>

#include "backend/cpu/kernels/row_kernels.h"

namespace ds4::cpu {
namespace {

constexpr int kMaxStreams = 16;     // Shape's limit
constexpr int64_t kTokenBlock = 16; // tokens of one work item, where tokens are divided

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
    const int64_t outputs = weights.fn.rows;
    float *mix = mix_.get<float>(count * outputs);
    Activations x;
    x.count = count, x.cols = context_.shape.hc_width(), x.values = streams;
    const Product product{weights.fn, &x, rows, count, mix, outputs};
    multiply(context_.pool, context_.isa, {&product, 1});
    return mix;
}

void HyperConnections::scale_mix(const float *v, int64_t outputs, float *mix) const {
    const int64_t width = context_.shape.hc_width();
    const float scale = 1.0f / std::sqrt(context_.vectors.sum_squares(v, width) / float(width) +
                                         context_.shape.norm_epsilon);
    for (int64_t i = 0; i < outputs; i++) mix[i] *= scale;
}

// mix: of this token.
void HyperConnections::collapse_token(const MixWeights &weights, const float *norm,
                                      const float *streams, int64_t token, float *mix,
                                      const Collapsed &out) const {
    const int n = context_.shape.streams;
    const int64_t hidden = context_.shape.hidden;
    const float *in = streams + token * n * hidden;
    scale_mix(in, weights.fn.rows, mix);
    float pre[kMaxStreams];
    hyper_connection_weights(context_.shape, mix, weights.base.data(), weights.scale.data(), pre,
                             out.post + token * n, out.comb + token * n * n);
    float *x = out.x + token * hidden;
    for (int64_t d = 0; d < hidden; d++) x[d] = pre[0] * in[d];
    for (int j = 1; j < n; j++) context_.vectors.add_scaled(x, pre[j], in + j * hidden, hidden);
    if (norm != nullptr)
        rms_norm(context_.vectors, x, norm, x, hidden, context_.shape.norm_epsilon);
}

// Few tokens divide the rows of fn over the threads. Many divide the tokens, in one region: fn has
// few rows, and a thread finds the streams that it has just multiplied in its cache.
void HyperConnections::collapse(const MixWeights &weights, const float *norm, const float *streams,
                                int64_t count, const Collapsed &out) {
    const int64_t outputs = weights.fn.rows, width = context_.shape.hc_width();
    if (count < kTokenBlock * context_.pool.threads()) {
        float *values = mix(weights, streams, nullptr, count);
        context_.each(count, [&](int64_t t) {
            collapse_token(weights, norm, streams, t, values + t * outputs, out);
        });
        return;
    }
    float *values = mix_.get<float>(count * outputs);
    const RowsFunction multiply_rows = row_kernels(weights.fn.type, context_.isa).f32;
    context_.each((count + kTokenBlock - 1) / kTokenBlock, [&](int64_t block) {
        const int64_t first = block * kTokenBlock, tokens = std::min(kTokenBlock, count - first);
        Activations x;
        x.count = tokens, x.cols = width, x.values = streams + first * width;
        multiply_rows(
            {weights.fn, 0, outputs, &x, nullptr, tokens, values + first * outputs, outputs});
        for (int64_t t = first; t < first + tokens; t++)
            collapse_token(weights, norm, streams, t, values + t * outputs, out);
    });
}

void HyperConnections::expand_block(const float *y, const float *post, const float *comb,
                                    int64_t token, int64_t begin, int64_t count,
                                    float *streams) const {
    const int n = context_.shape.streams;
    const int64_t hidden = context_.shape.hidden;
    float old[kMaxStreams * kChannelBlock];
    float *state = streams + token * n * hidden + begin;
    for (int j = 0; j < n; j++) std::copy_n(state + j * hidden, count, old + j * kChannelBlock);
    for (int k = 0; k < n; k++) {
        float *out = state + k * hidden;
        const float share = post[token * n + k];
        for (int64_t d = 0; d < count; d++) out[d] = share * y[token * hidden + begin + d];
        for (int j = 0; j < n; j++)
            context_.vectors.add_scaled(out, comb[(token * n + j) * n + k], old + j * kChannelBlock,
                                        count);
    }
}

void HyperConnections::collapse_head(const MixWeights &weights, const float *streams,
                                     const int32_t *rows, int64_t count, float *x) {
    const int n = context_.shape.streams;
    const int64_t hidden = context_.shape.hidden;
    float *mixes = mix(weights, streams, rows, count);
    context_.each(count, [&](int64_t t) {
        const float *in = streams + rows[t] * n * hidden;
        float *values = mixes + t * n;
        scale_mix(in, n, values);
        float *out = x + t * hidden;
        std::fill_n(out, hidden, 0.0f);
        for (int j = 0; j < n; j++) {
            const float weight = sigmoid(weights.scale[0] * values[j] + weights.base[size_t(j)]) +
                                 context_.shape.hc_epsilon;
            context_.vectors.add_scaled(out, weight, in + j * hidden, hidden);
        }
    });
}

} // namespace ds4::cpu
