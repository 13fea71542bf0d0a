// The passes of the sampler over a whole row of logits, for each instruction set. Every set gives
// the same bits.
#pragma once
#include <cstdint>

namespace ds4 {

constexpr float kNearWeight = 0x1p-10f;

struct WeightSums {
    uint64_t all = 0, near = 0; // near: of the weights of at least kNearWeight
    bool operator==(const WeightSums &) const = default;
};

struct WeightKernels {
    // The largest finite logit of [count], or -infinity.
    float (*largest)(const float *logits, int64_t count);
    // out[i]: the weight of logits[i]; 0 where the logit is not finite or the weight is below
    // min_p. Returns sums of fixed-point weights. count <= kWeightBlock.
    WeightSums (*weigh)(const float *logits, int64_t count, float largest, float temperature,
                        float min_p, float *out);
};

constexpr int64_t kWeightBlock = 1024; // ids whose weights are summed together

extern const WeightKernels kWeightKernelsGeneric, kWeightKernelsAvx2, kWeightKernelsAvx512;

const WeightKernels &weight_kernels(); // of the best set of this CPU

} // namespace ds4
