// The weights of a row by distance from the largest logit, to find a place in the order of logits
// without sorting them. Sums are exact, so a place does not depend on the buckets.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "sampling/row_blocks.h"
#include "sampling/weight_kernels.h"

namespace ds4 {

class WeightHistogram {
  public:
    // logits: [vocab], which lives as long as the answers below are asked for. range: theirs.
    void fill(std::span<const float> logits, const LogitRange &range, float temperature,
              float min_p, const RowBlocks &blocks);

    uint64_t total() const { return total_; }
    // The sum of the weights before the first one, in the order of logits, below min_p.
    uint64_t sum_of_min_p();

    struct Place {
        int32_t id;
        uint64_t through; // the sum of the weights up to this id and with it
    };
    // The first id, in the order of logits, at which the sum of weights exceeds `amount`, which is
    // below the total. The order is LogitOrder's.
    Place locate(uint64_t amount);

  private:
    uint64_t weight(int64_t id) const;
    int bucket_of(float logit) const;
    uint64_t sum_before(int bucket) const;
    // The keys of one bucket, in any order.
    std::vector<uint64_t> &gather(int bucket);
    Place select(std::vector<uint64_t> &keys, uint64_t before, uint64_t amount);
    // Keeps the keys of the part of their range in which `amount` lies. Returns the sum before it.
    uint64_t narrow(std::vector<uint64_t> &keys, uint64_t before, uint64_t amount);

    std::span<const float> logits_;
    RowBlocks blocks_;
    WeightScale scale_{};
    uint64_t total_ = 0;
    float cut_ = 0;                 // the largest logit that weighs less than min_p, or -infinity
    std::vector<uint16_t> buckets_; // [vocab]
    std::vector<uint64_t> sums_;    // [kWeightBuckets]
    std::vector<float> cuts_;       // one a block
    std::vector<std::vector<uint64_t>> partial_; // one a worker, as of the kernel
    std::vector<std::vector<uint64_t>> found_;   // keys, one list a worker
};

} // namespace ds4
