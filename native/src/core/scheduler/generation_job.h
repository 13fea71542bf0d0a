// One request that is being generated. It holds state and runs nothing. It names what the next step
// can take and how the token after it is sampled; the scheduler gives it the tokens.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/scheduler/generation_request.h"
#include "core/scheduler/mark_plan.h"
#include "core/scheduler/vocabulary.h"
#include "core/sampling/request_sampling.h"
#include "core/sampling/stop_strings.h"
#include "core/sampling/zone_tracker.h"
#include "kv/mark.h"
#include "ds4.h"

namespace ds4 {

class GenerationJob {
  public:
    // position: of the session. room: tokens that it can still take, the prompt included.
    GenerationJob(uint64_t id, GenerationRequest request, uint32_t position, uint32_t room,
                  std::shared_ptr<const Vocabulary> vocabulary);

    // By the steps that have ended. Prefill: the prompt is being read. Decode: tokens are sampled.
    // Settle: the end is known, and the last token must still enter the session. Terminal: nothing.
    enum class Phase { Prefill, Decode, Settle, Terminal };
    Phase phase() const;
    ds4_status error() const { return error_; } // DS4_OK unless the job has failed
    // Some of the prompt is in the session or in a step.
    bool has_begun() const { return prompt_taken_ > 0; }
    // Before it has begun: the number of tokens that the session can still take.
    void set_room(uint32_t room) { room_ = room; }
    uint32_t prompt_left() const { return uint32_t(prompt_.size()) - prompt_taken_; }

    // The input that a step can take of this job now. Prompt: up to `count` of its next tokens.
    // Token: the last sampled one. Follow: the one that the step in flight samples.
    enum class Input { None, Prompt, Token, Follow };
    struct Share {
        Input input = Input::None;
        uint32_t count = 0;
        bool samples = false; // a token is sampled after it
    };
    Share next_share() const;
    // A part of it: the first `count` tokens, or fewer where a mark is due before them.
    Share first(Share share, uint32_t count) const;
    const int32_t *tokens_of(const Share &share) const; // null for a token that follows
    // A step takes the share; it comes back by advance or put_back.
    void take(const Share &share);
    // The step did not happen. controlled: its record was asked for, and is asked for again.
    void put_back(const Share &share, bool controlled);

    // Once all that came before the share's step is known: whether it still belongs to the session.
    bool keeps(const Share &share) const;
    // The record of the share's token; `samples` is off if the job has come to its end.
    SamplingControl control(const Share &share);
    // The step of the share has ended. kept: whether its tokens are in the session. token: the
    // sampled one, or null.
    void advance(const Share &share, bool kept, const ds4_job_token *token);
    // End the job without a DS4_FINISH_* value.
    void cancel();
    void fail(ds4_status status, const char *text) noexcept;

    // Whether the session is to be marked now, before its next step.
    bool wants_mark() const;
    // The mark that was wanted; null if it could not be had. Throws std::bad_alloc.
    void add_mark(std::shared_ptr<const Mark> mark);
    // The oldest mark that has not been handed over, or null.
    std::shared_ptr<const Mark> take_mark();

    // Moves up to `capacity` tokens produced since the last drain into tokens, and fills state.
    void drain(ds4_job_token *tokens, uint32_t capacity, ds4_job_state &state);

    const uint64_t id;
    ds4_session *session; // null once it has been released
    const uint32_t tag;
    bool wake_sent = false; // the waker is called or will be, and no poll has come since
    bool wake_due = false;  // it will be
    uint32_t in_flight = 0; // steps that have not ended, 0..2

    // Number of the step in flight that was submitted last, and the index of this job's token.
    uint64_t flight = 0;
    int32_t sampled_index = -1;
    bool runs_alone = false; // a step that it shared has failed: the next one is its own
    bool cancel_requested = false;
    std::string error_text;

  private:
    using Clock = std::chrono::steady_clock;

    void report(const ds4_job_token &token);
    bool goes_on() const;
    uint64_t taken_position() const { return begin_ + prompt_taken_ + answer_taken_; }
    bool has_room(uint32_t generated) const;
    uint32_t read_token(int32_t token);
    uint32_t read_answer(std::span<const uint8_t> bytes);
    bool closes_thinking(int32_t token, std::span<const uint8_t> &bytes);
    void finish(uint32_t finish);
    bool is_thinking() const { return options_.think_close_token >= 0 && !closed_thinking_; }

    const ds4_job_options options_;
    const std::vector<int32_t> prompt_;
    const std::vector<int32_t> stop_tokens_;
    const std::shared_ptr<const Vocabulary> vocabulary_; // may be null without those two
    const uint64_t begin_;                               // position of the session at the start
    const MarkPlan mark_plan_;
    uint32_t room_;
    RequestSampling sampling_;
    StopStrings stop_strings_;
    ZoneTracker zones_;

    uint32_t status_ = DS4_JOB_RUNNING;
    uint32_t finish_ = DS4_FINISH_NONE;
    ds4_status error_ = DS4_OK;
    uint32_t prompt_taken_ = 0, prompt_processed_ = 0;
    uint32_t answer_taken_ = 0; // tokens of the answer that steps were given
    uint64_t marked_ = 0;       // position of the last mark that was wanted
    bool is_end_marked_ = false;
    std::deque<std::shared_ptr<const Mark>> marks_;
    bool sample_in_flight_ = false; // the step submitted last samples
    bool has_drawn_ = false;        // the last record took a number of the generator
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
