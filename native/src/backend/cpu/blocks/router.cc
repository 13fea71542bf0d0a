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

// The experts with the largest values, the smaller id on a tie.
void choose_best(const float *values, int experts, int count, int32_t *ids) {
    int chosen = 0;
    for (int e = 0; e < experts; e++) {
        if (chosen == count && !(values[e] > values[ids[count - 1]])) continue;
        int place = chosen < count ? chosen++ : count - 1;
        for (; place > 0 && values[e] > values[ids[place - 1]]; place--)
            ids[place] = ids[place - 1];
        ids[place] = e;
    }
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
        choose_best(values.data(), shape.experts, per_token, ids);
    }
    float sum = 0.0f;
    for (int i = 0; i < per_token; i++) sum += chosen_weights[i] = score_of(logits[ids[i]]);
    const float scale =
        shape.normalise_weights ? shape.routed_scale / (sum + 1e-20f) : shape.routed_scale;
    for (int i = 0; i < per_token; i++) chosen_weights[i] *= scale;
}

} // namespace ds4::cpu
