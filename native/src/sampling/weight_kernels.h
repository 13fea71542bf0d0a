// The passes of the sampler over a whole row of logits, for each instruction set. Every set gives
// the same bits. A kernel takes at most kWeightBlock ids.
#pragma once
#include <cstdint>

namespace ds4 {

constexpr int64_t kWeightBlock = 1024; // ids whose weights are summed together

// Buckets of equal width divide the distances from the largest logit. Ids beyond kWeightReach have
// a bucket of their own, the last.
constexpr int kWeightBuckets = 1024, kWeightless = kWeightBuckets;
// Sums of one bucket. An id adds to that of its lane, so that additions of neighbours do not wait
// for each other.
constexpr int kBucketLanes = 4;

struct LogitRange { // of the finite logits; -infinity and infinity where there are none
    float largest, smallest;
    bool operator==(const LogitRange &) const = default;
};

struct WeightScale {
    float largest, temperature;
    float buckets_per_unit; // of (largest - logit) / temperature
    float min_p;
};

struct WeightKernels {
    LogitRange (*range)(const float *logits, int64_t count);
    // out[i]: the weight of logits[i]; 0 where the logit is not finite or the weight is below
    // min_p. Returns the sum of fixed-point weights.
    uint64_t (*weigh)(const float *logits, int64_t count, float largest, float temperature,
                      float min_p, float *out);
    // Adds fixed-point weights to histogram [kWeightBuckets + 1][kBucketLanes]. buckets[i]: that of
    // logits[i]. Returns the largest finite logit that weighs less than min_p, or -infinity.
    float (*bucket)(const float *logits, int64_t count, const WeightScale &scale, uint16_t *buckets,
                    uint64_t *histogram);
    // The places of finite logits from `floor` on, ascending. Returns their number.
    int64_t (*at_least)(const float *logits, int64_t count, float floor, uint16_t *places);
    // The places of one bucket, ascending. Returns their number.
    int64_t (*in_bucket)(const uint16_t *buckets, int64_t count, uint16_t bucket, uint16_t *places);
};

extern const WeightKernels kWeightKernelsGeneric, kWeightKernelsAvx2, kWeightKernelsAvx512;

const WeightKernels &weight_kernels(); // of the best set of this CPU

} // namespace ds4
