// Which tokens the next step takes: one of every job that decodes or settles, and prompt chunks
// with what is left.
#pragma once
#include <cstdint>
#include <vector>

#include "core/scheduler/generation_job.h"

namespace ds4 {

class Batch {
  public:
    struct Part {
        Job *job;
        uint32_t count;
    };
    explicit Batch(uint32_t max_step_tokens);
    // jobs: everything not terminal, in order of arrival. The sum of counts is at most
    // max_step_tokens; empty only if jobs is. Prompts share the room evenly, the shorter ones
    // first, so that a short question does not wait for a long document; what does not fit waits in
    // turn.
    std::vector<Part> plan(const std::vector<Job *> &jobs);
    // Reports how long a planned step took, before its jobs advance: while others decode, prompt
    // chunks are kept to what holds a step near kMixedStepUs, or kMixedFactor times a step of
    // decoding alone where that is longer.
    void took(const std::vector<Part> &parts, uint64_t microseconds);

  private:
    // A stream that waits for its next token should not stall visibly for somebody else's prompt.
    static constexpr uint64_t kMixedStepUs = 200'000;
    static constexpr uint64_t kMixedFactor = 3;
    static constexpr uint32_t kMinChunk = 16;
    static constexpr uint32_t kFirstChunk = 64; // until a mixed step has been timed

    uint32_t max_step_tokens_;
    uint32_t mixed_chunk_;
    uint64_t decode_us_ = 0; // of the last step without prompts
    uint64_t turn_ = 0;      // rotates who goes first when not everyone fits
};

} // namespace ds4
