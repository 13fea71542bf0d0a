#include "core/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fail.h"
#include "ds4.h"

namespace ds4 {

int32_t largest_logit(std::span<const float> logits) {
    int32_t best = -1;
    for (size_t id = 0; id < logits.size(); id++) {
        if (std::isfinite(logits[id]) && (best < 0 || logits[id] > logits[size_t(best)]))
            best = int32_t(id);
    }
    if (best < 0)
        fail(DS4_ERR_INTERNAL, "none of the %zu logits is a finite number", logits.size());
    return best;
}

Sampler::Sampler(const ds4_sampling &settings)
    : temperature_(settings.temperature),
      top_p_(settings.top_p > 0.0f && settings.top_p <= 1.0f ? settings.top_p : 1.0f),
      min_p_(std::max(settings.min_p, 0.0f)), top_k_(std::min(settings.top_k, kMaxTopK)),
      rng_(settings.seed) {
    if (std::isnan(settings.temperature) || std::isnan(settings.top_p) ||
        std::isnan(settings.min_p))
        fail(DS4_ERR_ARGUMENT,
             "a sampling setting is not a number: temperature %g, top_p %g, min_p %g",
             double(settings.temperature), double(settings.top_p), double(settings.min_p));
}

int32_t Sampler::draw(std::span<const float> logits, bool greedy) {
    const int32_t best = largest_logit(logits);
    if (greedy || temperature_ <= 0.0f) return best;
    const float largest = logits[size_t(best)];
    const int32_t drawn = top_k_ == 0 && top_p_ >= 1.0f ? draw_in_id_order(logits, largest)
                                                        : draw_in_logit_order(logits, largest);
    return drawn < 0 ? best : drawn;
}

// Logits further than this below the largest have a weight surely under `weight`, so they need no
// exponential. The margin covers the rounding of expf and of the division.
static float logit_floor(float largest, float temperature, float weight) {
    if (!(weight > 0.0f)) return -std::numeric_limits<float>::infinity();
    const double distance = (std::log(double(weight)) * 1.0001 - 0.001) * double(temperature);
    return std::nextafter(float(double(largest) + distance),
                          -std::numeric_limits<float>::infinity());
}

// Without top-k and top-p: one pass in the order of ids, no sort. Returns -1 if nothing is left.
int32_t Sampler::draw_in_id_order(std::span<const float> logits, float largest) {
    const float floor = logit_floor(largest, temperature_, std::min(min_p_, 1.0f));
    weights_.assign(logits.size(), -1.0f);
    float sum = 0.0f;
    for (size_t id = 0; id < logits.size(); id++) {
        if (!std::isfinite(logits[id]) || logits[id] < floor) continue;
        const float weight = std::exp((logits[id] - largest) / temperature_);
        if (weight < min_p_) continue;
        weights_[id] = weight;
        sum += weight;
    }
    if (!(sum > 0.0f)) return -1;

    float rest = rng_.next().uniform * sum;
    int32_t last = -1;
    for (size_t id = 0; id < weights_.size(); id++) {
        if (weights_[id] < 0.0f) continue;
        last = int32_t(id);
        rest -= weights_[id];
        if (rest <= 0.0f) break;
    }
    return last;
}

// With top-k or top-p: candidates and the sum of all weights are taken in the order of their
// logits. The sum is at least 1 from its first term on, so weights under 2^-25 cannot change it.
// Their logits are left out of the sort, and brought back only when the nucleus or the draw reaches
// past the others. Returns -1 if nothing is left.
int32_t Sampler::draw_in_logit_order(std::span<const float> logits, float largest) {
    const float uniform = rng_.next().uniform;
    bool complete = top_k_ != 0;
    float floor = complete ? -std::numeric_limits<float>::infinity()
                           : logit_floor(largest, temperature_, 0x1p-25f);
    for (;;) {
        const std::span<const uint64_t> keys =
            top_k_ != 0 ? order_.sort_top(logits, top_k_) : order_.sort(logits, floor);
        weights_.resize(keys.size());
        float sum = 0.0f;
        for (size_t i = 0; i < keys.size(); i++) {
            weights_[i] =
                std::exp((logits[size_t(LogitOrder::id(keys[i]))] - largest) / temperature_);
            sum += weights_[i];
        }
        const float first = weights_[0] / sum;
        size_t kept = 0;
        float nucleus = 0.0f, kept_sum = 0.0f;
        bool closed = false; // the nucleus ends among these candidates
        while (kept < keys.size() && !closed) {
            const float weight = weights_[kept], share = weight / sum;
            closed = share < min_p_ * first;
            if (closed) break;
            kept++;
            kept_sum += weight;
            nucleus += share;
            closed = nucleus >= top_p_;
        }
        if (kept == 0) return -1;

        float rest = uniform * kept_sum;
        for (size_t i = 0; i < kept; i++) {
            rest -= weights_[i];
            if (rest <= 0.0f) return LogitOrder::id(keys[i]);
        }
        if (closed || complete) return LogitOrder::id(keys[kept - 1]);
        complete = true;
        floor = -std::numeric_limits<float>::infinity();
    }
}

} // namespace ds4
