// One request that is being generated. It holds state and runs nothing: the scheduler gives it
// logits, and it names the tokens of its next step.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/scheduler/generation_request.h"
#include "core/scheduler/vocabulary.h"
#include "core/sampling/sampler.h"
#include "core/sampling/stop_strings.h"
#include "core/sampling/zone_tracker.h"
#include "ds4.h"

namespace ds4 {

class GenerationJob {
  public:
    // room: number of tokens that the session can still take, the prompt included.
    GenerationJob(uint64_t id, GenerationRequest request, uint32_t room,
                  std::shared_ptr<const Vocabulary> vocabulary);

    // Input of the next step. Prefill: a chunk of the prompt. Decode: the last sampled token.
    // Settle: the last token, after the end is known. Terminal: nothing.
    enum class Phase { Prefill, Decode, Settle, Terminal };
    Phase phase() const;
    ds4_status error() const { return error_; } // DS4_OK unless the job has failed
    uint32_t prompt_left() const { return uint32_t(prompt_.size()) - prompt_processed_; }
    // The tokens that the next step feeds: in prefill the rest of the prompt, else the one token
    // that is not in the session yet.
    const int32_t *next_tokens() const;
    bool wants_logits(uint32_t count) const; // after a step of `count` tokens

    // Samples the token after a step from its logits, [vocab]. Changes nothing that drain reads:
    // the scheduler calls it without its lock. A row of a large vocabulary takes as long as a small
    // step. Throws ds4::Error.
    ds4_job_token sample(std::span<const float> logits);
    // Records that a step has fed `count` tokens. token: the one sampled after it, or null.
    void advance(uint32_t count, const ds4_job_token *token);
    // End the job without a DS4_FINISH_* value.
    void cancel();
    void fail(ds4_status status, std::string text);

    // Moves up to `capacity` tokens produced since the last drain into tokens, and fills state.
    void drain(ds4_job_token *tokens, uint32_t capacity, ds4_job_state &state);

    const uint64_t id;
    ds4_session *session; // null once it has been released
    const uint32_t tag;
    bool wake_sent = false; // the waker has been called and no poll has come since
    bool in_step = false;   // the scheduler's thread uses this job outside the lock
    bool cancel_requested = false;
    std::string error_text;

  private:
    using Clock = std::chrono::steady_clock;

    void report(const ds4_job_token &token);
    uint32_t read_token(int32_t token);
    uint32_t read_answer(std::span<const uint8_t> bytes);
    bool closes_thinking(int32_t token, std::span<const uint8_t> &bytes);
    void finish(uint32_t finish);
    bool is_thinking() const { return options_.think_close_token >= 0 && !closed_thinking_; }

    const ds4_job_options options_;
    const std::vector<int32_t> prompt_;
    const std::vector<int32_t> stop_tokens_;
    const std::shared_ptr<const Vocabulary> vocabulary_; // may be null without those two
    uint32_t room_;
    Sampler sampler_;
    StopStrings stop_strings_;
    ZoneTracker zones_;

    uint32_t status_ = DS4_JOB_RUNNING;
    uint32_t finish_ = DS4_FINISH_NONE;
    ds4_status error_ = DS4_OK;
    uint32_t prompt_processed_ = 0;
    uint32_t generated_ = 0;
    int32_t last_token_ = -1; // sampled and reported
    bool last_token_is_fed_ = true;
    bool closed_thinking_ = false;
    uint32_t thinking_tokens_ = 0;
    size_t close_matched_ = 0; // so many bytes of the closing tag's text have been read
    int32_t stop_token_ = -1;
    uint32_t stop_string_ = StopStrings::kNone;
    std::deque<ds4_job_token> produced_;
    Clock::time_point started_ = Clock::now();
    Clock::time_point prefilled_ = started_;
    Clock::time_point finished_ = started_;
};

} // namespace ds4
