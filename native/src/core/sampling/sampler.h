// Samples one token from one row of logits. All arithmetic is float32 in a fixed order, so that a
// seed gives the same tokens on every machine with the same expf.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/sampling/logit_order.h"
#include "core/sampling/rng.h"
#include "ds4.h"

namespace ds4 {

// Id of the largest finite logit, the lowest on a tie. Throws DS4_ERR_INTERNAL if no logit is
// finite.
int32_t largest_logit(std::span<const float> logits);

class Sampler {
  public:
    static constexpr uint32_t kMaxTopK = 1024;

    // Throws DS4_ERR_ARGUMENT for a NaN setting. ds4.h says how out-of-range settings are read.
    explicit Sampler(const ds4_sampling &settings);
    // logits: [vocab]. `greedy` takes the largest without a draw.
    int32_t draw(std::span<const float> logits, bool greedy);
    Rng &rng() { return rng_; }

  private:
    int32_t draw_in_id_order(std::span<const float> logits, float largest);
    int32_t draw_in_logit_order(std::span<const float> logits, float largest);

    float temperature_;
    float top_p_;
    float min_p_;
    uint32_t top_k_;
    Rng rng_;
    std::vector<float> weights_; // [vocab] scratch
    LogitOrder order_;
};

} // namespace ds4
