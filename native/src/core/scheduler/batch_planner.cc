#include "core/scheduler/batch_planner.h"

#include <algorithm>

#include "core/scheduler/generation_job.h"

namespace ds4 {

using Phase = GenerationJob::Phase;

BatchPlanner::BatchPlanner(uint32_t max_step_tokens)
    : max_step_tokens_(std::max(max_step_tokens, 1u)),
      mixed_chunk_(std::min(kFirstChunk, max_step_tokens_)) {}

// One token of every job past its prompt while there is room; prompts gets the other jobs.
Batch BatchPlanner::take_decodes(const std::vector<GenerationJob *> &jobs,
                                 std::vector<GenerationJob *> &prompts) const {
    Batch batch;
    for (size_t i = 0; i < jobs.size(); i++) {
        GenerationJob *job = jobs[(i + turn_) % jobs.size()];
        if (job->phase() == Phase::Prefill)
            prompts.push_back(job);
        else if (batch.size() < max_step_tokens_)
            batch.push_back({job, 1});
    }
    return batch;
}

Batch BatchPlanner::plan(const std::vector<GenerationJob *> &jobs) {
    if (jobs.empty()) return {};
    turn_++;
    std::vector<GenerationJob *> prompts;
    Batch batch = take_decodes(jobs, prompts);
    uint32_t room = max_step_tokens_ - uint32_t(batch.size());
    // A full batch of decoding jobs must not keep prompts out for ever.
    if (room == 0 && !prompts.empty() && turn_ % 8 == 0) {
        batch.pop_back();
        room = 1;
    }
    if (!batch.empty()) room = std::min(room, mixed_chunk_);

    std::stable_sort(prompts.begin(), prompts.end(),
                     [](const GenerationJob *a, const GenerationJob *b) {
                         return a->prompt_left() < b->prompt_left();
                     });
    // With more prompts than room the shortest must not win every time.
    if (prompts.size() > room)
        std::rotate(prompts.begin(), prompts.begin() + long(turn_ % prompts.size()), prompts.end());
    for (size_t i = 0; i < prompts.size() && room > 0; i++) {
        const uint32_t share = std::max(1u, room / uint32_t(prompts.size() - i));
        const uint32_t count = std::min(prompts[i]->prompt_left(), share);
        batch.push_back({prompts[i], count});
        room -= count;
    }
    return batch;
}

void BatchPlanner::record_step(const Batch &batch, uint64_t microseconds) {
    uint32_t prompt_tokens = 0, decodes = 0;
    for (const BatchEntry &entry : batch) {
        if (entry.job->phase() == Phase::Prefill)
            prompt_tokens += entry.count;
        else
            decodes++;
    }
    if (decodes == 0) return;
    if (prompt_tokens == 0) {
        decode_us_ = microseconds;
        return;
    }
    const uint64_t target = std::max(kMixedStepUs, decode_us_ * kMixedFactor);
    if (microseconds > target)
        mixed_chunk_ = std::max(std::min(kMinChunk, max_step_tokens_), mixed_chunk_ / 2);
    else if (microseconds * 2 < target && prompt_tokens == mixed_chunk_)
        mixed_chunk_ = std::min(max_step_tokens_, mixed_chunk_ * 2);
}

} // namespace ds4
