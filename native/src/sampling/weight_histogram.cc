#include "sampling/weight_histogram.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/fail.h"
#include "ds4.h"
#include "sampling/logit_order.h"
#include "sampling/weight.h"

namespace ds4 {
namespace {

constexpr size_t kSortBelow = 64;                      // keys
constexpr int kPartBits = 10, kParts = 1 << kPartBits; // of the range of more keys
constexpr float kLeastSpan = 1e-6f;

} // namespace

uint64_t WeightHistogram::weight(int64_t id) const {
    return fixed_weight(exp_minus((scale_.largest - logits_[size_t(id)]) / scale_.temperature));
}

void WeightHistogram::fill(std::span<const float> logits, const LogitRange &range,
                           float temperature, float min_p, const RowBlocks &blocks) {
    const int64_t vocab = int64_t(logits.size());
    logits_ = logits, blocks_ = blocks;
    const float span = (range.largest - range.smallest) / temperature;
    scale_ = {range.largest, temperature,
              float(kWeightBuckets) / std::clamp(span, kLeastSpan, kWeightReach), min_p};
    buckets_.resize(logits.size());
    cuts_.resize(size_t(RowBlocks::count(vocab)));
    partial_.resize(size_t(blocks.workers()));
    for (auto &sums : partial_) sums.clear();
    blocks.shares(vocab, [&](int64_t first, int64_t last, int worker) {
        std::vector<uint64_t> &sums = partial_[size_t(worker)];
        sums.assign(size_t(kWeightBuckets + 1) * kBucketLanes, 0);
        for (int64_t block = first; block < last; block++) {
            const int64_t begin = block * kWeightBlock, end = std::min(vocab, begin + kWeightBlock);
            cuts_[size_t(block)] = weight_kernels().bucket(
                logits.data() + begin, end - begin, scale_, buckets_.data() + begin, sums.data());
        }
        for (size_t b = 0; b < size_t(kWeightBuckets); b++) {
            const uint64_t *lanes = sums.data() + b * kBucketLanes;
            sums[b] = lanes[0] + lanes[1] + lanes[2] + lanes[3];
        }
    });
    static_assert(kBucketLanes == 4);
    sums_.assign(kWeightBuckets, 0);
    for (const auto &sums : partial_)
        for (size_t b = 0; b < size_t(kWeightBuckets) && !sums.empty(); b++) sums_[b] += sums[b];
    total_ = sum_before(kWeightBuckets);
    cut_ = *std::max_element(cuts_.begin(), cuts_.end());
}

// As the kernels compute it.
int WeightHistogram::bucket_of(float logit) const {
    const float d = (scale_.largest - logit) / scale_.temperature;
    if (!(d < kWeightReach)) return kWeightless;
    return int(std::min(d * scale_.buckets_per_unit, float(kWeightBuckets - 1)));
}

uint64_t WeightHistogram::sum_before(int bucket) const {
    uint64_t sum = 0;
    for (int b = 0; b < bucket; b++) sum += sums_[size_t(b)];
    return sum;
}

std::vector<uint64_t> &WeightHistogram::gather(int bucket) {
    found_.resize(size_t(blocks_.workers()));
    for (auto &keys : found_) keys.clear();
    blocks_.each(int64_t(logits_.size()), [&](int64_t begin, int64_t end, int64_t, int worker) {
        uint16_t places[kWeightBlock];
        const int64_t count = weight_kernels().in_bucket(buckets_.data() + begin, end - begin,
                                                         uint16_t(bucket), places);
        for (int64_t i = 0; i < count; i++) {
            const int64_t id = begin + places[i];
            found_[size_t(worker)].push_back(LogitOrder::key(logits_[size_t(id)], id));
        }
    });
    for (size_t worker = 1; worker < found_.size(); worker++)
        found_[0].insert(found_[0].end(), found_[worker].begin(), found_[worker].end());
    return found_[0];
}

uint64_t WeightHistogram::sum_of_min_p() {
    const int bucket = bucket_of(cut_);
    uint64_t sum = sum_before(bucket);
    if (bucket == kWeightless) return sum;
    for (const uint64_t key : gather(bucket))
        if (const int32_t id = LogitOrder::id(key); logits_[size_t(id)] > cut_) sum += weight(id);
    return sum;
}

WeightHistogram::Place WeightHistogram::locate(uint64_t amount) {
    uint64_t before = 0;
    for (int bucket = 0; bucket < kWeightBuckets; before += sums_[size_t(bucket++)])
        if (before + sums_[size_t(bucket)] > amount) return select(gather(bucket), before, amount);
    fail(DS4_ERR_INTERNAL, "the weights of a row add up to %llu, not to more than %llu",
         (unsigned long long)before, (unsigned long long)amount);
}

uint64_t WeightHistogram::narrow(std::vector<uint64_t> &keys, uint64_t before, uint64_t amount) {
    const auto [least, most] = std::minmax_element(keys.begin(), keys.end());
    const uint64_t first = *least; // keys differ, so the parts below hold fewer than all of them
    const int shift = std::max(0, int(std::bit_width(*most - first)) - kPartBits);
    std::array<uint64_t, kParts> parts{};
    for (const uint64_t key : keys) parts[(key - first) >> shift] += weight(LogitOrder::id(key));
    size_t part = 0;
    while (part < kParts - 1 && before + parts[part] <= amount) before += parts[part++];
    std::erase_if(keys, [&](uint64_t key) { return (key - first) >> shift != part; });
    return before;
}

WeightHistogram::Place WeightHistogram::select(std::vector<uint64_t> &keys, uint64_t before,
                                               uint64_t amount) {
    while (keys.size() > kSortBelow) before = narrow(keys, before, amount);
    std::sort(keys.begin(), keys.end());
    for (const uint64_t key : keys) {
        before += weight(LogitOrder::id(key));
        if (before > amount) return {LogitOrder::id(key), before};
    }
    fail(DS4_ERR_INTERNAL, "the weights of a bucket add up to %llu, not to more than %llu",
         (unsigned long long)before, (unsigned long long)amount);
}

} // namespace ds4
