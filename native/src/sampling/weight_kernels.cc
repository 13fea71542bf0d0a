#include "sampling/weight_kernels.h"

#include <cmath>
#include <limits>

#include "machine/instruction_sets.h"
#include "sampling/weight.h"

namespace ds4 {
namespace {

float largest(const float *logits, int64_t count) {
    float best = -std::numeric_limits<float>::infinity();
    for (int64_t i = 0; i < count; i++)
        if (std::isfinite(logits[i]) && logits[i] > best) best = logits[i];
    return best;
}

WeightSums weigh(const float *logits, int64_t count, float largest, float temperature, float min_p,
                 float *out) {
    WeightSums sums;
    for (int64_t i = 0; i < count; i++) {
        const float weight =
            std::isfinite(logits[i]) ? exp_minus((largest - logits[i]) / temperature) : 0.0f;
        out[i] = weight < min_p ? 0.0f : weight;
        sums.all += fixed_weight(out[i]);
        if (out[i] >= kNearWeight) sums.near += fixed_weight(out[i]);
    }
    return sums;
}

} // namespace

const WeightKernels kWeightKernelsGeneric = {largest, weigh};

const WeightKernels &weight_kernels() {
    static const WeightKernels &best = machine::has(Isa::avx512) ? kWeightKernelsAvx512
                                       : machine::has(Isa::avx2) ? kWeightKernelsAvx2
                                                                 : kWeightKernelsGeneric;
    return best;
}

} // namespace ds4
