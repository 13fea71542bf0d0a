// One request being generated. Pure state: the loop feeds it logits, and it says what comes next.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/scheduler/vocabulary.h"
#include "core/sampling/sampler.h"
#include "core/sampling/stop_strings.h"
#include "core/sampling/zone_tracker.h"
#include "ds4.h"

namespace ds4 {

struct JobRequest {
    ds4_session *session;
    ds4_job_options options;
    std::vector<int32_t> prompt; // new tokens, >= 1
    std::vector<int32_t> stop_tokens;
    std::vector<std::string> stop_strings;
};

class Job {
  public:
    // room: tokens that the session can still take, the prompt included.
    Job(uint64_t id, JobRequest request, uint32_t room,
        std::shared_ptr<const Vocabulary> vocabulary);

    // What the next step feeds: a part of the prompt, one sampled token, or nothing (terminal).
    enum class Phase { Prefill, Decode, Settle, Terminal };
    Phase phase() const;
    uint32_t prompt_left() const { return uint32_t(prompt_.size()) - prompt_processed_; }
    // At least `count` tokens are readable: prompt tokens in prefill, else the one token that is
    // not in the session yet.
    const int32_t *next_tokens() const;
    bool wants_logits(uint32_t count) const; // after a step of so many tokens

    // The token after a step that gave these logits, [vocab]. Touches nothing that drain reads: the
    // loop calls it without its lock, because a row of a large vocabulary takes as long as a small
    // step. Throws ds4::Error.
    ds4_job_token sample(std::span<const float> logits);
    // A step of `count` tokens of this job has been done; `token` is what was sampled after it, or
    // null.
    void advance(uint32_t count, const ds4_job_token *token);
    // The end without one of ds4.h's finishes.
    void cancel();
    void fail(ds4_status status, std::string text);

    // Copies what was produced since the last drain.
    void drain(ds4_job_token *tokens, uint32_t capacity, ds4_job_state &state);

    const uint64_t id;
    ds4_session *session; // null once it has been released
    const uint32_t tag;
    bool armed = false;   // the waker has been called and no poll came since
    bool in_step = false; // the loop's thread uses this job outside the lock
    bool cancel_requested = false;
    std::string error_text;

  private:
    using Clock = std::chrono::steady_clock;

    void report(const ds4_job_token &token);
    uint32_t read_token(int32_t token);
    void finish(uint32_t finish);
    bool is_thinking() const { return options_.think_close_token >= 0 && !closed_thinking_; }

    const ds4_job_options options_;
    const std::vector<int32_t> prompt_;
    const std::vector<int32_t> stop_tokens_;
    const std::shared_ptr<const Vocabulary>
        vocabulary_; // null if neither stop strings nor zones need it
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
    int32_t stop_token_ = -1;
    uint32_t stop_string_ = StopStrings::kNone;
    std::deque<ds4_job_token> produced_;
    Clock::time_point started_ = Clock::now();
    Clock::time_point prefilled_ = started_;
    Clock::time_point finished_ = started_;
};

} // namespace ds4
