#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "base/fail.h"
#include "sampling/logit_order.h"
#include "sampling/logprobs.h"
#include "sampling/weight.h"

namespace ds4 {
namespace {

constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();

// floor(uniform * total), exact: uniform has 24 bits and total fewer than 58.
uint64_t drawn_amount(float uniform, uint64_t total) {
    const uint64_t bits = uint64_t(uniform * 0x1p24f);
    return uint64_t((static_cast<unsigned __int128>(bits) * total) >> 24);
}

// The least sum of weights that makes up the share top_p of the total.
uint64_t nucleus_amount(float top_p, uint64_t total) {
    return uint64_t(std::ceil(double(top_p) * double(total)));
}

} // namespace

ds4_job_token Sampler::sample(std::span<const float> logits, const SamplingControl &control) {
    ds4_job_token token = {};
    if (control.forced >= 0) {
        if (size_t(control.forced) >= logits.size())
            fail(DS4_ERR_ARGUMENT, "token %d is forced; the row has %zu logits", control.forced,
                 logits.size());
        token.id = control.forced;
    } else {
        const std::span<const float> allowed = masked(logits, control);
        best_ = best_of(allowed);
        token.id =
            control.greedy || control.temperature <= 0.0f ? best_.id : draw(allowed, control);
    }
    if (control.logprobs) write_logprobs(logits, token.id, control.top_logprobs, blocks_, token);
    return token;
}

// The row with -infinity in place of what the mask forbids.
std::span<const float> Sampler::masked(std::span<const float> logits,
                                       const SamplingControl &control) {
    if (control.mask == nullptr) return logits;
    masked_.resize(logits.size());
    blocks_.each(int64_t(logits.size()), [&](int64_t begin, int64_t end, int64_t, int) {
        for (int64_t id = begin; id < end; id++)
            masked_[size_t(id)] = control.allows(id) ? logits[size_t(id)] : kNegativeInfinity;
    });
    return masked_;
}

Sampler::Best Sampler::best_of(std::span<const float> logits) {
    blocks_.values(int64_t(logits.size()), ranges_, [&](int64_t begin, int64_t end) {
        return weight_kernels().range(logits.data() + begin, end - begin);
    });
    size_t block = 0; // the first of those with the largest logit
    range_ = ranges_[0];
    for (size_t b = 1; b < ranges_.size(); b++) {
        if (ranges_[b].largest > range_.largest) block = b;
        range_ = {std::max(range_.largest, ranges_[b].largest),
                  std::min(range_.smallest, ranges_[b].smallest)};
    }
    if (!std::isfinite(range_.largest))
        fail(DS4_ERR_INTERNAL, "none of the %zu logits is a finite number", logits.size());
    size_t id = block * size_t(kWeightBlock);
    while (logits[id] != range_.largest) id++;
    return {range_.largest, int32_t(id)};
}

int32_t Sampler::draw(std::span<const float> logits, const SamplingControl &control) {
    if (control.min_p > 1.0f) return best_.id; // nothing is left
    if (control.top_k != 0) return draw_from_top(logits, control);
    if (control.top_p < 1.0f) return draw_from_nucleus(logits, control);
    return draw_in_id_order(logits, control);
}

int32_t Sampler::draw_in_id_order(std::span<const float> logits, const SamplingControl &control) {
    weights_.resize(logits.size());
    blocks_.values(int64_t(logits.size()), sums_, [&](int64_t begin, int64_t end) {
        return weight_kernels().weigh(logits.data() + begin, end - begin, best_.logit,
                                      control.temperature, control.min_p, weights_.data() + begin);
    });
    const uint64_t total = std::accumulate(sums_.begin(), sums_.end(), uint64_t(0));
    uint64_t rest = drawn_amount(control.uniform, total);
    size_t block = 0;
    for (; rest >= sums_[block]; block++) rest -= sums_[block];
    size_t id = block * size_t(kWeightBlock);
    for (;; id++) {
        const uint64_t weight = fixed_weight(weights_[id]);
        if (rest < weight) return int32_t(id);
        rest -= weight;
    }
}

// At least `count` blocks have a logit from the count-th largest of the blocks' largest on, so no
// smaller logit is among the first.
void Sampler::sort_top(std::span<const float> logits, size_t count) {
    float floor = kNegativeInfinity;
    if (count <= ranges_.size()) {
        std::vector<float> largest;
        for (const LogitRange &range : ranges_) largest.push_back(range.largest);
        const auto last = largest.begin() + std::ptrdiff_t(count) - 1;
        std::nth_element(largest.begin(), last, largest.end(), std::greater<>());
        floor = *last;
    }
    keys_.clear();
    for (size_t block = 0; block < ranges_.size(); block++) {
        if (ranges_[block].largest < floor) continue;
        const size_t begin = block * size_t(kWeightBlock),
                     ids = std::min(size_t(kWeightBlock), logits.size() - begin);
        uint16_t places[kWeightBlock];
        const int64_t found =
            weight_kernels().at_least(logits.data() + begin, int64_t(ids), floor, places);
        for (int64_t i = 0; i < found; i++)
            keys_.push_back(LogitOrder::key(logits[begin + places[i]], int64_t(begin) + places[i]));
        if (keys_.size() < count * 4) continue;
        LogitOrder::cut(keys_, count);
        floor = logits[size_t(LogitOrder::id(*std::max_element(keys_.begin(), keys_.end())))];
    }
    LogitOrder::cut(keys_, count);
    std::sort(keys_.begin(), keys_.end());
}

Sampler::Nucleus Sampler::nucleus_of_top(std::span<const float> logits,
                                         const SamplingControl &control) {
    weights_.resize(keys_.size());
    uint64_t total = 0;
    for (size_t i = 0; i < keys_.size(); i++) {
        const float logit = logits[size_t(LogitOrder::id(keys_[i]))];
        weights_[i] = exp_minus((best_.logit - logit) / control.temperature);
        total += fixed_weight(weights_[i]);
    }
    const uint64_t wanted = nucleus_amount(control.top_p, total);
    Nucleus nucleus;
    while (nucleus.kept < keys_.size() && nucleus.sum < wanted &&
           !(weights_[nucleus.kept] < control.min_p))
        nucleus.sum += fixed_weight(weights_[nucleus.kept++]);
    return nucleus;
}

int32_t Sampler::draw_from_top(std::span<const float> logits, const SamplingControl &control) {
    sort_top(logits, std::min(control.top_k, kMaxTopK));
    const Nucleus nucleus = nucleus_of_top(logits, control);
    uint64_t rest = drawn_amount(control.uniform, nucleus.sum);
    for (size_t i = 0; i < nucleus.kept; i++) {
        const uint64_t weight = fixed_weight(weights_[i]);
        if (rest < weight) return LogitOrder::id(keys_[i]);
        rest -= weight;
    }
    return best_.id;
}

int32_t Sampler::draw_from_nucleus(std::span<const float> logits, const SamplingControl &control) {
    histogram_.fill(logits, range_, control.temperature, control.min_p, blocks_);
    const uint64_t wanted = nucleus_amount(control.top_p, histogram_.total());
    uint64_t kept = control.min_p > 0.0f ? histogram_.sum_of_min_p() : histogram_.total();
    if (wanted < kept) kept = histogram_.locate(wanted - 1).through;
    return histogram_.locate(drawn_amount(control.uniform, kept)).id;
}

} // namespace ds4
