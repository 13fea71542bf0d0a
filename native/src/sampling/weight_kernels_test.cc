#include "sampling/weight_kernels.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "base/test.h"
#include "machine/instruction_sets.h"
#include "sampling/weight.h"

using namespace ds4;

namespace {

constexpr int64_t kCounts[] = {1, 7, 8, 9, 15, 16, 17, 31, 33, 1000, 1024};
constexpr size_t kSums = size_t(kWeightBuckets + 1) * kBucketLanes;

// Normal logits with infinities of both signs and a NaN.
std::vector<float> row_of(std::mt19937 &random, int64_t count) {
    const float infinity = std::numeric_limits<float>::infinity();
    std::normal_distribution<float> normal(0.0f, 12.0f);
    std::vector<float> logits(static_cast<size_t>(count));
    for (float &logit : logits) logit = random() % 50 == 0 ? -infinity : normal(random);
    logits[0] = 0.5f;
    if (count > 9) logits[3] = std::numeric_limits<float>::quiet_NaN(), logits[8] = infinity;
    return logits;
}

std::vector<const WeightKernels *> vector_sets() {
    std::vector<const WeightKernels *> sets;
    if (machine::has(Isa::avx2)) sets.push_back(&kWeightKernelsAvx2);
    if (machine::has(Isa::avx512)) sets.push_back(&kWeightKernelsAvx512);
    return sets;
}

struct Bucketed {
    std::vector<uint16_t> buckets;
    std::vector<uint64_t> sums;
    float cut;
    bool operator==(const Bucketed &) const = default;

    Bucketed(const WeightKernels &kernels, const std::vector<float> &logits,
             const WeightScale &scale)
        : buckets(logits.size() + 1, 0xabcd), sums(kSums, 3),
          cut(kernels.bucket(logits.data(), int64_t(logits.size()), scale, buckets.data(),
                             sums.data())) {}
};

} // namespace

TEST("weights of all instruction sets have the same bits, close to exp") {
    std::mt19937 random(5);
    double worst = 0;
    for (const int64_t count : kCounts) {
        const std::vector<float> logits = row_of(random, count);
        const LogitRange range = kWeightKernelsGeneric.range(logits.data(), count);
        for (const float min_p : {0.0f, 0.03f, 2.0f}) {
            std::vector<float> expected(size_t(count) + 1, -5.0f);
            const uint64_t sum = kWeightKernelsGeneric.weigh(logits.data(), count, range.largest,
                                                             1.3f, min_p, expected.data());
            for (const WeightKernels *set : vector_sets()) {
                std::vector<float> out(size_t(count) + 1, -5.0f);
                CHECK(set->range(logits.data(), count) == range);
                CHECK(set->weigh(logits.data(), count, range.largest, 1.3f, min_p, out.data()) ==
                      sum);
                CHECK(out == expected);
            }
            for (int64_t i = 0; i < count && min_p == 0.0f; i++) {
                if (expected[size_t(i)] == 0.0f) continue;
                const double exact = std::exp(-double((range.largest - logits[size_t(i)]) / 1.3f));
                worst = std::max(worst, std::fabs(double(expected[size_t(i)]) / exact - 1.0));
            }
        }
    }
    CHECK(worst > 0 && worst < 4e-7);
}

TEST("buckets of weights are the same in all instruction sets, and add up to the weights' sum") {
    std::mt19937 random(6);
    for (const int64_t count : kCounts) {
        const std::vector<float> logits = row_of(random, count);
        const float largest = kWeightKernelsGeneric.range(logits.data(), count).largest;
        for (const float min_p : {0.0f, 0.03f, 1.0f})
            for (const float per_unit : {0.0f, 40.0f, 1e9f}) {
                const WeightScale scale{largest, 1.3f, per_unit, min_p};
                const Bucketed expected(kWeightKernelsGeneric, logits, scale);
                for (const WeightKernels *set : vector_sets())
                    CHECK(Bucketed(*set, logits, scale) == expected);
                // Under a scale whose products no int holds, the last bucket takes the others.
                for (size_t i = 0; i < logits.size() && per_unit == 1e9f; i++) {
                    const float d = (largest - logits[i]) / 1.3f;
                    const bool weighs = std::isfinite(logits[i]) && d < kWeightReach;
                    CHECK(expected.buckets[i] == (!weighs     ? kWeightless
                                                  : d == 0.0f ? 0
                                                              : kWeightBuckets - 1));
                }
                std::vector<float> weights(logits.size());
                const uint64_t sum = kWeightKernelsGeneric.weigh(logits.data(), count, largest,
                                                                 1.3f, 0.0f, weights.data());
                CHECK(std::accumulate(expected.sums.begin(), expected.sums.end(), uint64_t(0)) ==
                      sum + 3 * kSums);
                float cut = -std::numeric_limits<float>::infinity();
                for (size_t i = 0; i < logits.size(); i++)
                    if (std::isfinite(logits[i]) && weights[i] < min_p)
                        cut = std::max(cut, logits[i]);
                CHECK(expected.cut == cut);
            }
    }
}

TEST("places of large logits and of a bucket are the same in all instruction sets") {
    std::mt19937 random(8);
    for (const int64_t count : kCounts) {
        const std::vector<float> logits = row_of(random, count);
        std::vector<uint16_t> buckets(static_cast<size_t>(count));
        for (uint16_t &bucket : buckets) bucket = uint16_t(random() % 3 + 0x7fff);
        const auto places_of = [&](const WeightKernels &set, float floor) {
            std::vector<uint16_t> places(size_t(count) * 2, 0xffff);
            const int64_t found = set.at_least(logits.data(), count, floor, places.data());
            places.resize(size_t(
                found + set.in_bucket(buckets.data(), count, 0x8000, places.data() + found)));
            return places;
        };
        for (const float floor : {-std::numeric_limits<float>::infinity(), 0.5f, 1e9f}) {
            std::vector<uint16_t> expected;
            for (int64_t i = 0; i < count; i++)
                if (std::isfinite(logits[size_t(i)]) && logits[size_t(i)] >= floor)
                    expected.push_back(uint16_t(i));
            for (int64_t i = 0; i < count; i++)
                if (buckets[size_t(i)] == 0x8000) expected.push_back(uint16_t(i));
            CHECK(places_of(kWeightKernelsGeneric, floor) == expected);
            for (const WeightKernels *set : vector_sets())
                CHECK(places_of(*set, floor) == expected);
        }
    }
}
