// The choice of experts for each token and their weights (docs/numerics.md#router).
#pragma once
#include "backend/cpu/buffer.h"
#include "backend/cpu/context.h"
#include "backend/cpu/weights.h"

namespace ds4::cpu {

// logits [experts] of one token -> ids, weights [experts_used]. token is used by hash-routed layers
// only.
void route_token(const Shape &shape, const LayerWeights &weights, const float *logits,
                 int32_t token, int32_t *ids, float *chosen_weights);

} // namespace ds4::cpu
