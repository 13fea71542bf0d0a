// Weights of logits in fixed point (sampling/weight.h), with the bits of the CPU, and the facts
// about a row of logits that its passes find.
#pragma once
#include "device/kernel.h"
#include "kernels/sampling/sampling.h"
#include "kernels/selection/block_scan.cuh"
#include "kernels/selection/top_items.cuh"
#include "sampling/weight.h"
#include "sampling/weight_kernels.h"

namespace ds4::kernels {

using Fixed = unsigned long long; // a sum of weights; atomicAdd has no other type of 64 bits

constexpr int kIdsPerBlock = int(kWeightBlock); // ids of a block of the passes over a row

__device__ __forceinline__ float weight_of_distance(float d) {
    constexpr float k0 = kExp2[0], k1 = kExp2[1], k2 = kExp2[2], k3 = kExp2[3], k4 = kExp2[4],
                    k5 = kExp2[5], k6 = kExp2[6];
    if (!(d < kWeightReach)) return 0.0f;
    const float n = __fadd_rn(fmaf(-d, kLog2E, kRounder), -kRounder);
    const float f = fmaf(-d, kLog2ERest, fmaf(-d, kLog2E, -n));
    const float p =
        fmaf(fmaf(fmaf(fmaf(fmaf(fmaf(k6, f, k5), f, k4), f, k3), f, k2), f, k1), f, k0);
    return __fmul_rn(p, __uint_as_float(uint32_t(int32_t(n) + 127) << 23));
}
__device__ __forceinline__ Fixed to_fixed(float weight) {
    return Fixed((long long)__fmul_rn(weight, 0x1p40f));
}
__device__ __forceinline__ bool is_finite(float value) {
    return (__float_as_uint(value) & 0x7f800000u) != 0x7f800000u;
}

// The findings that the blocks of a row leave for each other.
struct BlockFacts {
    Fixed best;                  // best_key of the largest allowed logit; 0: none is finite
    Fixed weights;               // sum of the weights of at least min_p
    double raw_sum;              // of exp(logit - largest) over all finite logits
    float smallest;              // of the finite allowed logits, or infinity
    float raw_largest;           // of all finite logits, or -infinity
    uint32_t finite, raw_finite; // their numbers
    uint32_t cut;                // order_key of the largest logit that weighs less than min_p, or 0
};
// Orders logits, the lower id first on a tie.
__device__ __forceinline__ Fixed best_key(float logit, int id) {
    return Fixed(order_key(logit)) << 32 | (0xffffffffu - uint32_t(id));
}
__device__ __forceinline__ float logit_of_order_key(uint32_t key) {
    return __uint_as_float((key & 0x80000000u) != 0 ? key & 0x7fffffffu : ~key);
}

struct RowScratch {
    BlockFacts *facts; // [blocks]
    Fixed *buckets;    // [kWeightBuckets]
    int blocks;
};
__host__ __device__ inline int64_t row_scratch_bytes(int vocab) {
    const int64_t blocks = (int64_t(vocab) + kIdsPerBlock - 1) / kIdsPerBlock;
    return (blocks * int64_t(sizeof(BlockFacts)) + kWeightBuckets * 8 + 15) / 16 * 16;
}
__device__ __forceinline__ RowScratch row_scratch(const SampleParams &p, int record) {
    uint8_t *memory = p.scratch + record * row_scratch_bytes(p.vocab);
    auto *buckets = reinterpret_cast<Fixed *>(memory);
    return {reinterpret_cast<BlockFacts *>(buckets + kWeightBuckets), buckets,
            (p.vocab + kIdsPerBlock - 1) / kIdsPerBlock};
}

// How a record draws.
enum class Draw { none, forced, greedy, by_id, from_top, from_nucleus };
__device__ __forceinline__ Draw draw_of(const SamplingRecord &record) {
    if (record.row < 0) return Draw::none;
    if (record.forced >= 0) return Draw::forced;
    if (record.is_greedy != 0 || record.temperature <= 0.0f || record.min_p > 1.0f)
        return Draw::greedy;
    if (record.top_k != 0) return Draw::from_top;
    return record.top_p < 1.0f ? Draw::from_nucleus : Draw::by_id;
}

// One row as its record sees it.
struct Logits {
    const float *values;
    const uint32_t *mask;

    __device__ __forceinline__ Logits(const SampleParams &p, const SamplingRecord &record)
        : values(p.logits + int64_t(record.row) * p.vocab), mask(record.mask) {}
    __device__ __forceinline__ bool allows(int id) const {
        return mask == nullptr || (mask[id / 32] >> (id % 32) & 1u) != 0;
    }
    // Whether the id may be drawn.
    __device__ __forceinline__ bool counts(int id) const {
        return is_finite(values[id]) && allows(id);
    }
    // 0 for an id that may not be drawn.
    __device__ __forceinline__ uint32_t key(int id) const {
        return counts(id) ? order_key(values[id]) : 0u;
    }
};

// Distances from the largest logit, their weights and their buckets.
struct Weigher {
    float largest, temperature, per_unit;

    __device__ __forceinline__ Weigher(float largest, float smallest, float temperature)
        : largest(largest), temperature(temperature) {
        const float span = __fdiv_rn(largest - smallest, temperature);
        per_unit = __fdiv_rn(float(kWeightBuckets), fminf(fmaxf(span, 1e-6f), kWeightReach));
    }
    __device__ __forceinline__ float distance(float logit) const {
        return __fdiv_rn(largest - logit, temperature);
    }
    __device__ __forceinline__ float weight(float logit) const {
        return weight_of_distance(distance(logit));
    }
    __device__ __forceinline__ int bucket(float logit) const {
        const float d = distance(logit);
        if (!(d < kWeightReach)) return kWeightless;
        return int(fminf(__fmul_rn(d, per_unit), float(kWeightBuckets - 1)));
    }
};

// The facts of all blocks together, for every thread of a block. scratch: shared, [32].
struct RowFacts {
    Fixed best;
    float smallest, raw_largest;
    uint32_t finite, raw_finite;

    __device__ __forceinline__ RowFacts(const RowScratch &row, Fixed *scratch) {
        best = 0, finite = 0, raw_finite = 0;
        smallest = __uint_as_float(0x7f800000u), raw_largest = __uint_as_float(0xff800000u);
        for (int b = int(threadIdx.x); b < row.blocks; b += int(blockDim.x)) {
            const BlockFacts &facts = row.facts[b];
            best = max(best, facts.best);
            smallest = fminf(smallest, facts.smallest);
            raw_largest = fmaxf(raw_largest, facts.raw_largest);
            finite += facts.finite, raw_finite += facts.raw_finite;
        }
        auto *floats = reinterpret_cast<float *>(scratch);
        auto *words = reinterpret_cast<uint32_t *>(scratch);
        const auto most = [](auto a, auto b) { return a > b ? a : b; };
        best = block_reduce(best, scratch, most);
        smallest = block_reduce(smallest, floats, [](float a, float b) { return fminf(a, b); });
        raw_largest = block_reduce(raw_largest, floats, most);
        const auto sum = [](uint32_t a, uint32_t b) { return a + b; };
        finite = block_reduce(finite, words, sum);
        raw_finite = block_reduce(raw_finite, words, sum);
        __syncthreads();
    }
    __device__ __forceinline__ float largest() const {
        return logit_of_order_key(uint32_t(best >> 32));
    }
    __device__ __forceinline__ int best_id() const { return int(0xffffffffu - uint32_t(best)); }
};

} // namespace ds4::kernels
