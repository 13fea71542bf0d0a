#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fail.h"
#include "sampling/logprobs.h"
#include "sampling/weight.h"

namespace ds4 {
namespace {

constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();

constexpr int kBuckets = 2048;
constexpr float kBucketsPerUnit = float(kBuckets) / kWeightReach;

// floor(uniform * total), exact: uniform has 24 bits and total fewer than 58.
uint64_t drawn_amount(float uniform, uint64_t total) {
    const uint64_t bits = uint64_t(uniform * 0x1p24f);
    return uint64_t((static_cast<unsigned __int128>(bits) * total) >> 24);
}

// The least sum of weights that makes up the share top_p of the total.
uint64_t nucleus_amount(float top_p, uint64_t total) {
    return uint64_t(std::ceil(double(top_p) * double(total)));
}

// Monotone in the logit: a larger one is never in a later bucket. per_logit: buckets in a unit.
int bucket_of(float largest, float logit, float per_logit) {
    return std::min(kBuckets - 1, int((largest - logit) * per_logit));
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
    blocks_.values(int64_t(logits.size()), largest_, [&](int64_t begin, int64_t end) {
        return weight_kernels().largest(logits.data() + begin, end - begin);
    });
    const auto block = std::max_element(largest_.begin(), largest_.end()); // the first of equals
    if (!std::isfinite(*block))
        fail(DS4_ERR_INTERNAL, "none of the %zu logits is a finite number", logits.size());
    size_t id = size_t(block - largest_.begin()) * size_t(kWeightBlock);
    while (logits[id] != *block) id++;
    return {*block, int32_t(id)};
}

// Fills weights_ and sums_; returns the sums over the row.
WeightSums Sampler::weigh(std::span<const float> logits, const SamplingControl &control,
                          float min_p) {
    weights_.resize(logits.size());
    blocks_.values(int64_t(logits.size()), sums_, [&](int64_t begin, int64_t end) {
        return weight_kernels().weigh(logits.data() + begin, end - begin, best_.logit,
                                      control.temperature, min_p, weights_.data() + begin);
    });
    WeightSums total;
    for (const WeightSums &sums : sums_) total.all += sums.all, total.near += sums.near;
    return total;
}

int32_t Sampler::draw(std::span<const float> logits, const SamplingControl &control) {
    if (control.min_p > 1.0f) return best_.id; // nothing is left
    if (control.top_k != 0) return draw_from_top(logits, control);
    if (control.top_p < 1.0f) return draw_from_nucleus(logits, control);
    return draw_in_id_order(logits, control);
}

int32_t Sampler::draw_in_id_order(std::span<const float> logits, const SamplingControl &control) {
    const uint64_t total = weigh(logits, control, control.min_p).all;
    uint64_t rest = drawn_amount(control.uniform, total);
    size_t block = 0;
    for (; rest >= sums_[block].all; block++) rest -= sums_[block].all;
    size_t id = block * size_t(kWeightBlock);
    for (;; id++) {
        const uint64_t weight = fixed_weight(weights_[id]);
        if (rest < weight) return int32_t(id);
        rest -= weight;
    }
}

namespace {

// A prefix of the order of logits with its weights. `ends`: nothing after it can be kept.
struct Nucleus {
    size_t kept = 0;
    uint64_t sum = 0;
    bool ends = false;
};

Nucleus nucleus_of(std::span<const uint64_t> keys, std::span<const float> logits,
                   const SamplingControl &control, float largest, uint64_t total,
                   std::vector<float> &weights) {
    const uint64_t wanted = nucleus_amount(control.top_p, total);
    Nucleus nucleus;
    weights.resize(keys.size());
    while (nucleus.kept < keys.size() && !nucleus.ends) {
        const float logit = logits[size_t(LogitOrder::id(keys[nucleus.kept]))];
        const float weight = exp_minus((largest - logit) / control.temperature);
        nucleus.ends = weight < control.min_p;
        if (nucleus.ends) break;
        weights[nucleus.kept++] = weight;
        nucleus.sum += fixed_weight(weight);
        nucleus.ends = nucleus.sum >= wanted;
    }
    return nucleus;
}

int32_t draw_from(std::span<const uint64_t> keys, const Nucleus &nucleus,
                  std::span<const float> weights, float uniform) {
    uint64_t rest = drawn_amount(uniform, nucleus.sum);
    for (size_t i = 0; i < nucleus.kept; i++) {
        const uint64_t weight = fixed_weight(weights[i]);
        if (rest < weight) return LogitOrder::id(keys[i]);
        rest -= weight;
    }
    return LogitOrder::id(keys[0]);
}

} // namespace

int32_t Sampler::draw_from_top(std::span<const float> logits, const SamplingControl &control) {
    const std::span<const uint64_t> keys =
        order_.sort_top(logits, std::min(control.top_k, kMaxTopK));
    uint64_t total = 0;
    for (const uint64_t key : keys)
        total += fixed_weight(
            exp_minus((best_.logit - logits[size_t(LogitOrder::id(key))]) / control.temperature));
    const Nucleus nucleus = nucleus_of(keys, logits, control, best_.logit, total, weights_);
    return draw_from(keys, nucleus, weights_, control.uniform);
}

template <typename Wanted>
std::span<const uint64_t> Sampler::gather(std::span<const float> logits, float floor, float ceiling,
                                          const Wanted &wanted) {
    found_.resize(size_t(blocks_.workers()));
    for (auto &keys : found_) keys.clear();
    blocks_.each(int64_t(logits.size()),
                 [&](int64_t begin, int64_t end, int64_t block, int worker) {
                     if (largest_[size_t(block)] < floor) return;
                     for (int64_t id = begin; id < end; id++) {
                         const float logit = logits[size_t(id)];
                         if (logit >= floor && logit <= ceiling && wanted(id))
                             found_[size_t(worker)].push_back(LogitOrder::key(logit, id));
                     }
                 });
    std::vector<uint64_t> &keys = found_[0];
    for (size_t worker = 1; worker < found_.size(); worker++)
        keys.insert(keys.end(), found_[worker].begin(), found_[worker].end());
    order_.sort(keys);
    return keys;
}

int32_t Sampler::draw_from_nucleus(std::span<const float> logits, const SamplingControl &control) {
    const WeightSums total = weigh(logits, control, 0.0f);
    const bool is_narrow = total.near >= nucleus_amount(control.top_p, total.all);
    if (!is_narrow && control.min_p <= 0.0f) return draw_from_buckets(logits, control, total.all);
    // Tokens of less weight are not kept. The reach has room for the rounding of exp.
    const float least = is_narrow ? std::max(control.min_p, kNearWeight) : control.min_p;
    const float reach = std::min(kWeightReach, float(-std::log(double(least))) + 0.01f);
    const std::span<const uint64_t> keys = gather(logits, best_.logit - reach * control.temperature,
                                                  best_.logit, [](int64_t) { return true; });
    std::vector<float> weights; // weights_ belongs to all ids
    const Nucleus nucleus = nucleus_of(keys, logits, control, best_.logit, total.all, weights);
    return draw_from(keys, nucleus, weights, control.uniform);
}

// The token at which the sum of weights, in the order of logits, exceeds `amount`.
Sampler::Place Sampler::locate(std::span<const float> logits, const SamplingControl &control,
                               uint64_t amount) {
    uint64_t before = 0;
    int bucket = 0;
    for (; before + histograms_[0][size_t(bucket)] <= amount; bucket++)
        before += histograms_[0][size_t(bucket)];
    // The range of logits is a little wider than the bucket, whose own rule decides.
    const float unit = control.temperature / kBucketsPerUnit;
    const float per_logit = kBucketsPerUnit / control.temperature;
    const std::span<const uint64_t> keys =
        gather(logits, best_.logit - unit * (float(bucket) + 1.5f),
               best_.logit - unit * (float(bucket) - 0.5f), [&](int64_t id) {
                   return weights_[size_t(id)] > 0.0f &&
                          bucket_of(best_.logit, logits[size_t(id)], per_logit) == bucket;
               });
    for (const uint64_t key : keys) {
        before += fixed_weight(weights_[size_t(LogitOrder::id(key))]);
        if (before > amount) return {LogitOrder::id(key), before};
    }
    fail(DS4_ERR_INTERNAL, "the weights of a row do not add up");
}

// A wide nucleus: weights are summed by buckets of logits, and only two buckets are sorted.
int32_t Sampler::draw_from_buckets(std::span<const float> logits, const SamplingControl &control,
                                   uint64_t total) {
    const float per_logit = kBucketsPerUnit / control.temperature;
    histograms_.resize(size_t(blocks_.workers()));
    for (auto &histogram : histograms_) histogram.assign(kBuckets, 0);
    blocks_.each(int64_t(logits.size()), [&](int64_t begin, int64_t end, int64_t, int worker) {
        std::vector<uint64_t> &histogram = histograms_[size_t(worker)];
        for (int64_t id = begin; id < end; id++)
            if (const float weight = weights_[size_t(id)]; weight > 0.0f)
                histogram[size_t(bucket_of(best_.logit, logits[size_t(id)], per_logit))] +=
                    fixed_weight(weight);
    });
    for (size_t worker = 1; worker < histograms_.size(); worker++)
        for (size_t b = 0; b < kBuckets; b++) histograms_[0][b] += histograms_[worker][b];
    const uint64_t kept = locate(logits, control, nucleus_amount(control.top_p, total) - 1).through;
    return locate(logits, control, drawn_amount(control.uniform, kept)).id;
}

} // namespace ds4
