// Chooses experts and their weights for each token (docs/numerics.md#router).
#pragma once
#include "backend/cpu/buffer.h"
#include "backend/cpu/context.h"
#include "backend/cpu/weights.h"

namespace ds4::cpu {

// logits [experts] of one token -> ids, weights [experts_per_token]. Only hash-routed layers read
// token.
void route_token(const Shape &shape, const LayerWeights &weights, const float *logits,
                 int32_t token, int32_t *ids, float *chosen_weights);

} // namespace ds4::cpu
