#include "core/sampling/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/status.h"

namespace ds4 {

int32_t largest_logit(std::span<const float> logits) {
    int32_t best = -1;
    for (size_t id = 0; id < logits.size(); id++) {
        if (std::isfinite(logits[id]) && (best < 0 || logits[id] > logits[size_t(best)])) best = int32_t(id);
    }
    if (best < 0) fail(DS4_ERR_INTERNAL, "none of the %zu logits is a finite number", logits.size());
    return best;
}

Sampler::Sampler(const ds4_sampling &settings)
    : temperature_(settings.temperature),
      top_p_(settings.top_p > 0.0f && settings.top_p <= 1.0f ? settings.top_p : 1.0f),
      min_p_(std::max(settings.min_p, 0.0f)),
      top_k_(std::min(settings.top_k, kMaxTopK)),
      rng_(settings.seed) {
    if (std::isnan(settings.temperature) || std::isnan(settings.top_p) || std::isnan(settings.min_p))
        fail(DS4_ERR_ARGUMENT, "a sampling setting is not a number: temperature %g, top_p %g, min_p %g",
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

// Logits below this distance from the largest have a weight surely under `weight`; they need no exponential. The
// margin covers the rounding of expf and of the division.
static float logit_floor(float largest, float temperature, float weight) {
    if (!(weight > 0.0f)) return -std::numeric_limits<float>::infinity();
    const double distance = (std::log(double(weight)) * 1.0001 - 0.001) * double(temperature);
    return std::nextafter(float(double(largest) + distance), -std::numeric_limits<float>::infinity());
}

// Neither top-k nor top-p: one pass in the order of ids, no sort. -1: nothing is left.
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

// Bits of a float as an integer of the same order, inverted: the largest float has the smallest key.
static uint32_t descending_bits(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value == 0.0f ? 0.0f : value);
    return (bits & 0x80000000u) != 0 ? bits : ~bits & 0x7fffffffu;
}

void Sampler::sort_candidates(std::span<const float> logits, float largest, float floor) {
    candidates_.clear();
    for (size_t id = 0; id < logits.size(); id++) {
        if (std::isfinite(logits[id]) && logits[id] >= floor)
            candidates_.push_back({uint64_t(descending_bits(logits[id])) << 32 | id, 0.0f});
    }
    const auto earlier = [](const Candidate &a, const Candidate &b) { return a.key < b.key; };
    if (top_k_ != 0 && candidates_.size() > top_k_) {
        std::nth_element(candidates_.begin(), candidates_.begin() + top_k_, candidates_.end(), earlier);
        candidates_.resize(top_k_);
    }
    std::sort(candidates_.begin(), candidates_.end(), earlier);
    for (Candidate &candidate : candidates_)
        candidate.weight = std::exp((logits[uint32_t(candidate.key)] - largest) / temperature_);
}

// With top-k or top-p: candidates in the order of their logits. The sum of all weights is taken in that order too; it
// is at least 1 from its first term on, so weights under 2^-25 cannot change it and their logits are left out of the
// sort. They are only brought back when the nucleus or the draw reaches past the others. -1: nothing is left.
int32_t Sampler::draw_in_logit_order(std::span<const float> logits, float largest) {
    const float uniform = rng_.next().uniform;
    bool complete = top_k_ != 0;
    float floor = complete ? -std::numeric_limits<float>::infinity() : logit_floor(largest, temperature_, 0x1p-25f);
    for (;;) {
        sort_candidates(logits, largest, floor);
        float sum = 0.0f;
        for (const Candidate &candidate : candidates_) sum += candidate.weight;

        const float first = candidates_[0].weight / sum;
        size_t kept = 0;
        float nucleus = 0.0f, kept_sum = 0.0f;
        bool closed = false; // the nucleus ends among these candidates
        for (const Candidate &candidate : candidates_) {
            const float share = candidate.weight / sum;
            closed = share < min_p_ * first;
            if (closed) break;
            kept++;
            kept_sum += candidate.weight;
            nucleus += share;
            closed = nucleus >= top_p_;
            if (closed) break;
        }
        if (kept == 0) return -1;

        float rest = uniform * kept_sum;
        for (size_t i = 0; i < kept; i++) {
            rest -= candidates_[i].weight;
            if (rest <= 0.0f) return int32_t(uint32_t(candidates_[i].key));
        }
        if (closed || complete) return int32_t(uint32_t(candidates_[kept - 1].key));
        complete = true;
        floor = -std::numeric_limits<float>::infinity();
    }
}

} // namespace ds4
