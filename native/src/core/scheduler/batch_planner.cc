#include "core/scheduler/batch_planner.h"

#include <algorithm>

namespace ds4 {

Batch::Batch(uint32_t max_step_tokens)
    : max_step_tokens_(std::max(max_step_tokens, 1u)),
      mixed_chunk_(std::min(kFirstChunk, max_step_tokens_)) {}

std::vector<Batch::Part> Batch::plan(const std::vector<Job *> &jobs) {
    std::vector<Part> parts;
    std::vector<Job *> prompts;
    if (jobs.empty()) return parts;
    turn_++;
    uint32_t room = max_step_tokens_;
    for (size_t i = 0; i < jobs.size(); i++) {
        Job *job = jobs[(i + turn_) % jobs.size()];
        if (job->phase() == Job::Phase::Prefill) {
            prompts.push_back(job);
        } else if (room > 0) {
            parts.push_back({job, 1});
            room--;
        }
    }
    // a full house of decoding jobs must not keep prompts out for ever
    if (room == 0 && !prompts.empty() && turn_ % 8 == 0) {
        parts.pop_back();
        room = 1;
    }
    if (!parts.empty()) room = std::min(room, mixed_chunk_);

    std::stable_sort(prompts.begin(), prompts.end(), [](const Job *a, const Job *b) {
        return a->prompt_left() < b->prompt_left();
    });
    // with more prompts than room the shortest must not win every time
    if (prompts.size() > room)
        std::rotate(prompts.begin(), prompts.begin() + long(turn_ % prompts.size()), prompts.end());
    for (size_t i = 0; i < prompts.size() && room > 0; i++) {
        const uint32_t share = std::max(1u, room / uint32_t(prompts.size() - i));
        const uint32_t count = std::min(prompts[i]->prompt_left(), share);
        parts.push_back({prompts[i], count});
        room -= count;
    }
    return parts;
}

void Batch::took(const std::vector<Part> &parts, uint64_t microseconds) {
    uint32_t prompt_tokens = 0, others = 0;
    for (const Part &part : parts) {
        if (part.job->phase() == Job::Phase::Prefill)
            prompt_tokens += part.count;
        else
            others++;
    }
    if (others == 0) return;
    if (prompt_tokens == 0) {
        decode_us_ = microseconds;
        return;
    }
    const uint64_t aim = std::max(kMixedStepUs, decode_us_ * kMixedFactor);
    if (microseconds > aim)
        mixed_chunk_ = std::max(std::min(kMinChunk, max_step_tokens_), mixed_chunk_ / 2);
    else if (microseconds * 2 < aim && prompt_tokens == mixed_chunk_)
        mixed_chunk_ = std::min(max_step_tokens_, mixed_chunk_ * 2);
}

} // namespace ds4
