#include "core/scheduler/batch_planner.h"

#include <algorithm>

namespace ds4 {

using Input = GenerationJob::Input;

BatchPlanner::BatchPlanner(uint32_t max_step_tokens)
    : max_step_tokens_(std::max(max_step_tokens, 1u)),
      short_prompt_(std::min(kShortPrompt, max_step_tokens_)) {}

// The prompts share the room evenly, the shortest first, so that a short question does not wait for
// a long document.
void BatchPlanner::add_prompts(Batch &batch, std::vector<GenerationJob *> prompts,
                               uint32_t room) const {
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
        batch.push_back({prompts[i], prompts[i]->first(prompts[i]->next_share(), count)});
        room -= batch.back().share.count;
    }
}

Batch BatchPlanner::plan_decode(const std::vector<GenerationJob *> &jobs, const May &may) {
    turn_++;
    Batch batch;
    std::vector<GenerationJob *> prompts;
    for (size_t i = 0; i < jobs.size(); i++) {
        GenerationJob *job = jobs[(i + turn_) % jobs.size()];
        const GenerationJob::Share share = job->next_share();
        if (share.input == Input::None) continue;
        const bool is_prompt = share.input == Input::Prompt;
        if (is_prompt ? !is_short(*job) : batch.size() == max_step_tokens_) continue;
        if (!may(*job)) continue;
        if (is_prompt)
            prompts.push_back(job);
        else
            batch.push_back({job, share});
    }
    uint32_t room = max_step_tokens_ - uint32_t(batch.size());
    // A full batch of decoding jobs must not keep prompts out for ever.
    if (room == 0 && !prompts.empty() && turn_ % 8 == 0) {
        batch.pop_back();
        room = 1;
    }
    add_prompts(batch, std::move(prompts), std::min(room, short_prompt_));
    return batch;
}

// Alone a prompt takes whole steps. Beside others a step is bounded by its time.
uint32_t BatchPlanner::prefill_room(const std::vector<GenerationJob *> &jobs) const {
    if (jobs.size() < 2 || tokens_per_us_ == 0) return max_step_tokens_;
    const double tokens = tokens_per_us_ * double(kPrefillStepUs);
    if (tokens >= double(max_step_tokens_)) return max_step_tokens_;
    return std::max(std::min(kMinChunk, max_step_tokens_), uint32_t(tokens));
}

Batch BatchPlanner::plan_prefill(const std::vector<GenerationJob *> &jobs, const May &may) {
    turn_++;
    const auto prompts_of = [&](bool short_ones) {
        std::vector<GenerationJob *> prompts;
        for (GenerationJob *job : jobs)
            if (job->next_share().input == Input::Prompt && is_short(*job) == short_ones &&
                may(*job))
                prompts.push_back(job);
        return prompts;
    };
    std::vector<GenerationJob *> prompts = prompts_of(false);
    if (prompts.empty()) prompts = prompts_of(true);
    Batch batch;
    add_prompts(batch, std::move(prompts), prefill_room(jobs));
    return batch;
}

void BatchPlanner::record_decode(const Batch &batch, uint64_t microseconds) {
    uint32_t prompt_tokens = 0, decodes = 0;
    for (const BatchEntry &entry : batch) {
        if (entry.share.input == Input::Prompt)
            prompt_tokens += entry.share.count;
        else
            decodes++;
    }
    if (prompt_tokens == 0) {
        decode_us_ = microseconds;
        return;
    }
    if (decodes == 0) return;
    const uint64_t target = std::max(kDecodeStepUs, decode_us_ * kMixedFactor);
    if (microseconds > target)
        short_prompt_ = std::max(std::min(kMinShortPrompt, max_step_tokens_), short_prompt_ / 2);
    else if (microseconds < target / 2 && prompt_tokens >= short_prompt_ / 2)
        short_prompt_ = std::min({kShortPrompt, max_step_tokens_, short_prompt_ * 2});
}

void BatchPlanner::record_prefill(const Batch &batch, uint64_t microseconds) {
    uint32_t tokens = 0;
    for (const BatchEntry &entry : batch) tokens += entry.share.count;
    if (tokens >= std::min(kMinChunk, max_step_tokens_))
        tokens_per_us_ = double(tokens) / double(std::max<uint64_t>(microseconds, 1));
}

} // namespace ds4
