// Decides which tokens the next step takes: one of every job that decodes or settles, then prompt
// chunks into the room that is left.
#pragma once
#include <cstdint>
#include <vector>

namespace ds4 {

class GenerationJob;

// The next `count` tokens of one job.
struct BatchEntry {
    GenerationJob *job;
    uint32_t count;
};
using Batch = std::vector<BatchEntry>;

class BatchPlanner {
  public:
    explicit BatchPlanner(uint32_t max_step_tokens);
    // jobs: all that are not terminal, in order of arrival. The sum of counts is at most
    // max_step_tokens. The batch is empty only if jobs is. Prompts share the room evenly, the
    // shortest first, so that a short question does not wait for a long document. Prompts that do
    // not fit take turns.
    Batch plan(const std::vector<GenerationJob *> &jobs);
    // Records how long the step of a batch took; call it before the jobs advance. While other jobs
    // decode, prompt chunks are limited so that a step takes about kMixedStepUs. Where a step of
    // decoding alone is slow, the limit is kMixedFactor times its duration.
    void record_step(const Batch &batch, uint64_t microseconds);

  private:
    // A stream that waits for its next token should not stall visibly for somebody else's prompt.
    static constexpr uint64_t kMixedStepUs = 200'000;
    static constexpr uint64_t kMixedFactor = 3;
    static constexpr uint32_t kMinChunk = 16;
    static constexpr uint32_t kFirstChunk = 64; // until a mixed step has been timed

    Batch take_decodes(const std::vector<GenerationJob *> &jobs,
                       std::vector<GenerationJob *> &prompts) const;

    uint32_t max_step_tokens_;
    uint32_t mixed_chunk_;
    uint64_t decode_us_ = 0; // duration of the last step without prompts
    uint64_t turn_ = 0;      // rotates the order of service when the room is too small for all
};

} // namespace ds4
