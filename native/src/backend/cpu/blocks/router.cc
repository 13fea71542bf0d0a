#include "backend/cpu/blocks/router.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ds4::cpu {
namespace {

// sqrt(softplus(z)), by its asymptotes where exp would overflow or lose all digits.
float score_of(float z) {
    const float softplus = z > 20.0f ? z : z < -20.0f ? std::exp(z) : std::log1p(std::exp(z));
    return std::sqrt(softplus);
}

// The expert with the largest value among those not taken, the smaller id on a tie.
int best_free(const std::vector<float> &values, const int32_t *taken, int taken_count) {
    int best = -1;
    for (int e = 0; e < int(values.size()); e++) {
        if (std::find(taken, taken + taken_count, e) != taken + taken_count) continue;
        if (best < 0 || values[size_t(e)] > values[size_t(best)]) best = e;
    }
    return best;
}

} // namespace

void route_token(const Shape &shape, const LayerWeights &weights, const float *logits,
                 int32_t token, int32_t *ids, float *chosen_weights) {
    const int per_token = shape.experts_per_token;
    if (!weights.router_table.empty()) {
        std::copy_n(weights.router_table.begin() + int64_t(token) * per_token, per_token, ids);
    } else {
        std::vector<float> values(size_t(shape.experts)); // score + bias
        for (int e = 0; e < shape.experts; e++)
            values[size_t(e)] = score_of(logits[e]) + weights.router_bias[size_t(e)];
        for (int i = 0; i < per_token; i++) ids[i] = best_free(values, ids, i);
    }
    float sum = 0.0f;
    for (int i = 0; i < per_token; i++) sum += chosen_weights[i] = score_of(logits[ids[i]]);
    const float scale =
        shape.normalise_weights ? shape.routed_scale / (sum + 1e-20f) : shape.routed_scale;
    for (int i = 0; i < per_token; i++) chosen_weights[i] *= scale;
}

} // namespace ds4::cpu
