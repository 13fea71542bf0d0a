// Chooses one token from one row of logits as its control record says. The result is a pure
// function of the two (docs/numerics.md#sampling). Weights are integers, so neither the number of
// threads nor the order of a pass changes it.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "ds4.h"
#include "sampling/control.h"
#include "sampling/row_blocks.h"
#include "sampling/weight_histogram.h"

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
    // A prefix of the order of logits, and what its weights add up to.
    struct Nucleus {
        size_t kept = 0;
        uint64_t sum = 0;
    };
    std::span<const float> masked(std::span<const float> logits, const SamplingControl &control);
    Best best_of(std::span<const float> logits);
    int32_t draw(std::span<const float> logits, const SamplingControl &control);
    int32_t draw_in_id_order(std::span<const float> logits, const SamplingControl &control);
    int32_t draw_from_top(std::span<const float> logits, const SamplingControl &control);
    int32_t draw_from_nucleus(std::span<const float> logits, const SamplingControl &control);
    // Fills keys_ with the first `count` keys of the finite logits, sorted.
    void sort_top(std::span<const float> logits, size_t count);
    Nucleus nucleus_of_top(std::span<const float> logits, const SamplingControl &control);

    RowBlocks blocks_;
    WeightHistogram histogram_;
    Best best_{};
    LogitRange range_{};
    std::vector<float> masked_, weights_; // [vocab], [vocab] or [top_k]
    std::vector<LogitRange> ranges_;      // [blocks]
    std::vector<uint64_t> sums_;          // [blocks]
    std::vector<uint64_t> keys_;          // of the first top_k
};

} // namespace ds4
