// Decides which tokens the next step of a lane takes. Decode lane: one token of every job past its
// prompt, and short prompts. Prefill lane: chunks of the long prompts.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "backend/step.h"
#include "core/scheduler/generation_job.h"

namespace ds4 {

struct BatchEntry {
    GenerationJob *job;
    GenerationJob::Share share;
};
using Batch = std::vector<BatchEntry>;

class BatchPlanner {
  public:
    // A prompt of so many tokens is read between the tokens of other jobs; a longer one in the
    // other lane.
    static constexpr uint32_t kShortPrompt = kShortPromptTokens;

    explicit BatchPlanner(uint32_t max_step_tokens);

    using May = std::function<bool(GenerationJob &)>;
    // jobs: all that are not terminal, in order of arrival. may: whether a step may take the job's
    // next share now; asked once for each job that the lane would take. The sum of counts is at
    // most max_step_tokens. Jobs and prompts that do not fit take turns.
    Batch plan_decode(const std::vector<GenerationJob *> &jobs, const May &may);
    // Prompts share the room evenly, the shortest first. Without a long one the lane is free for
    // short ones that the decode lane has not taken.
    Batch plan_prefill(const std::vector<GenerationJob *> &jobs, const May &may);

    // Record how long the step of a batch computed. While others wait, the prompt tokens of the
    // next step are limited so that it takes about kDecodeStepUs, or kPrefillStepUs in the prefill
    // lane. Where a step of decoding alone is slow, its limit is kMixedFactor times that.
    void record_decode(const Batch &batch, uint64_t microseconds);
    void record_prefill(const Batch &batch, uint64_t microseconds);

  private:
    // A stream that waits for its next token should not stall visibly for somebody else's prompt.
    static constexpr uint64_t kDecodeStepUs = 200'000;
    static constexpr uint64_t kMixedFactor = 3;
    static constexpr uint32_t kMinShortPrompt = 16;
    // A prompt that comes later joins the lane's next step.
    static constexpr uint64_t kPrefillStepUs = 1'000'000;
    static constexpr uint32_t kMinChunk = 64;

    bool is_short(const GenerationJob &job) const { return job.prompt_left() <= short_prompt_; }
    void add_prompts(Batch &batch, std::vector<GenerationJob *> prompts, uint32_t room) const;
    uint32_t prefill_room(const std::vector<GenerationJob *> &jobs) const;

    uint32_t max_step_tokens_;
    uint32_t short_prompt_;
    uint64_t decode_us_ = 0;   // duration of the last step without prompts
    double tokens_per_us_ = 0; // of the last step of the prefill lane; 0: none yet
    uint64_t turn_ = 0;        // rotates the order of service when the room is too small for all
};

} // namespace ds4
