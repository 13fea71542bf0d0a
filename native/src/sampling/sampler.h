// Chooses one token from one row of logits as its control record says. The result is a pure
// function of the two (docs/numerics.md#sampling). Weights are integers, so neither the number of
// threads nor the order of a pass changes it.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "ds4.h"
#include "sampling/control.h"
#include "sampling/logit_order.h"
#include "sampling/row_blocks.h"

namespace ds4 {

class Sampler {
  public:
    // pool: its threads share the passes over a row; null for the caller's thread alone.
    explicit Sampler(ThreadPool *pool = nullptr) : blocks_(pool) {}

    // logits: [vocab]. Throws DS4_ERR_INTERNAL if no allowed logit is a finite number, and
    // DS4_ERR_ARGUMENT for a forced id outside the row. One call at a time.
    ds4_job_token sample(std::span<const float> logits, const SamplingControl &control);

  private:
    struct Best {
        float logit;
        int32_t id; // the lowest with this logit
    };
    std::span<const float> masked(std::span<const float> logits, const SamplingControl &control);
    Best best_of(std::span<const float> logits);
    WeightSums weigh(std::span<const float> logits, const SamplingControl &control, float min_p);
    int32_t draw(std::span<const float> logits, const SamplingControl &control);
    int32_t draw_in_id_order(std::span<const float> logits, const SamplingControl &control);
    int32_t draw_from_top(std::span<const float> logits, const SamplingControl &control);
    int32_t draw_from_nucleus(std::span<const float> logits, const SamplingControl &control);
    int32_t draw_from_buckets(std::span<const float> logits, const SamplingControl &control,
                              uint64_t total);
    struct Place { // of an amount in the order of logits
        int32_t id;
        uint64_t through; // the sum of the weights up to this token and with it
    };
    Place locate(std::span<const float> logits, const SamplingControl &control, uint64_t amount);
    // Keys of the finite logits within [floor, ceiling] that `wanted` takes, sorted.
    template <typename Wanted>
    std::span<const uint64_t> gather(std::span<const float> logits, float floor, float ceiling,
                                     const Wanted &wanted);

    RowBlocks blocks_;
    LogitOrder order_;
    Best best_{};
    std::vector<float> masked_, weights_, largest_; // [vocab], [vocab], [blocks]
    std::vector<WeightSums> sums_;                  // [blocks]
    std::vector<std::vector<uint64_t>> found_;      // keys, one list a worker
    std::vector<std::vector<uint64_t>> histograms_; // weights by bucket, one a worker
};

} // namespace ds4
