#include "sampling/weight_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "machine/instruction_sets.h"
#include "sampling/weight.h"

namespace ds4 {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

LogitRange range(const float *logits, int64_t count) {
    LogitRange out{-kInfinity, kInfinity};
    for (int64_t i = 0; i < count; i++) {
        if (!std::isfinite(logits[i])) continue;
        out.largest = std::max(out.largest, logits[i]);
        out.smallest = std::min(out.smallest, logits[i]);
    }
    return out;
}

uint64_t weigh(const float *logits, int64_t count, float largest, float temperature, float min_p,
               float *out) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < count; i++) {
        const float weight =
            std::isfinite(logits[i]) ? exp_minus((largest - logits[i]) / temperature) : 0.0f;
        out[i] = weight < min_p ? 0.0f : weight;
        sum += fixed_weight(out[i]);
    }
    return sum;
}

// Clamped before it is converted, since an int does not hold every product.
int place_of(float d, const WeightScale &scale) {
    return int(std::min(d * scale.buckets_per_unit, float(kWeightBuckets - 1)));
}

float bucket(const float *logits, int64_t count, const WeightScale &scale, uint16_t *buckets,
             uint64_t *histogram) {
    float cut = -kInfinity;
    for (int64_t i = 0; i < count; i++) {
        const float d = (scale.largest - logits[i]) / scale.temperature;
        const bool finite = std::isfinite(logits[i]), weighs = finite && d < kWeightReach;
        const float weight = weighs ? exp_minus(d) : 0.0f;
        if (finite && weight < scale.min_p) cut = std::max(cut, logits[i]);
        const int place = weighs ? place_of(d, scale) : kWeightless;
        buckets[i] = uint16_t(place);
        histogram[place * kBucketLanes + i % kBucketLanes] += fixed_weight(weight);
    }
    return cut;
}

int64_t at_least(const float *logits, int64_t count, float floor, uint16_t *places) {
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++)
        if (std::isfinite(logits[i]) && logits[i] >= floor) places[found++] = uint16_t(i);
    return found;
}

int64_t in_bucket(const uint16_t *buckets, int64_t count, uint16_t bucket, uint16_t *places) {
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++)
        if (buckets[i] == bucket) places[found++] = uint16_t(i);
    return found;
}

} // namespace

const WeightKernels kWeightKernelsGeneric = {range, weigh, bucket, at_least, in_bucket};

const WeightKernels &weight_kernels() {
    static const WeightKernels &best = machine::has(Isa::avx512) ? kWeightKernelsAvx512
                                       : machine::has(Isa::avx2) ? kWeightKernelsAvx2
                                                                 : kWeightKernelsGeneric;
    return best;
}

} // namespace ds4
