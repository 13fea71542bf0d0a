#include "core/scheduler/generation_job.h"

#include <algorithm>

#include "base/fail.h"
#include "ds4.h"

namespace ds4 {

GenerationJob::GenerationJob(uint64_t id, GenerationRequest request, uint32_t position,
                             uint32_t room, std::shared_ptr<const Vocabulary> vocabulary)
    : id(id), session(request.session), tag(request.options.tag), options_(request.options),
      prompt_(std::move(request.prompt)), stop_tokens_(std::move(request.stop_tokens)),
      vocabulary_(std::move(vocabulary)), begin_(position),
      mark_plan_(position, std::move(request.mark_offsets), request.options.mark_interval),
      room_(room), sampling_(request.options.sampling),
      stop_strings_(std::move(request.stop_strings)), zones_(std::move(request.tool_names)) {}

GenerationJob::Phase GenerationJob::phase() const {
    if (status_ != DS4_JOB_RUNNING) return Phase::Terminal;
    if (prompt_processed_ < prompt_.size()) return Phase::Prefill;
    return finish_ == DS4_FINISH_NONE ? Phase::Decode : Phase::Settle;
}

// A job whose end is known settles in spite of a cancel, so that its session can be reused.
bool GenerationJob::goes_on() const {
    return status_ == DS4_JOB_RUNNING && (!cancel_requested || finish_ != DS4_FINISH_NONE);
}

// Whether one more token may be sampled after `generated` tokens.
bool GenerationJob::has_room(uint32_t generated) const {
    return generated < options_.max_tokens && prompt_.size() + generated < room_;
}

GenerationJob::Share GenerationJob::next_share() const {
    if (!goes_on()) return {};
    if (prompt_left() > 0)
        return in_flight > 0 ? Share{} : first({Input::Prompt, 0, false}, prompt_left());
    if (in_flight == 0) return {Input::Token, 1, finish_ == DS4_FINISH_NONE};
    if (in_flight > 1 || !sample_in_flight_ || finish_ != DS4_FINISH_NONE) return {};
    if (mark_plan_.is_due(taken_position())) return {}; // nothing runs ahead of a mark
    return {Input::Follow, 1, has_room(generated_ + 1)};
}

GenerationJob::Share GenerationJob::first(Share share, uint32_t count) const {
    if (share.input != Input::Prompt) return share;
    share.count =
        uint32_t(std::min<uint64_t>(count, mark_plan_.next(taken_position()) - taken_position()));
    share.samples = share.count == prompt_left() && has_room(0);
    return share;
}

const int32_t *GenerationJob::tokens_of(const Share &share) const {
    if (share.input == Input::Follow) return nullptr;
    return share.input == Input::Prompt ? prompt_.data() + prompt_taken_ : &last_token_;
}

void GenerationJob::take(const Share &share) {
    (share.input == Input::Prompt ? prompt_taken_ : answer_taken_) += share.count;
    sample_in_flight_ = share.samples;
    in_flight++;
}

void GenerationJob::put_back(const Share &share, bool controlled) {
    (share.input == Input::Prompt ? prompt_taken_ : answer_taken_) -= share.count;
    if (controlled && has_drawn_) sampling_.undo();
    if (controlled) has_drawn_ = false;
    sample_in_flight_ = share.input == Input::Follow;
    in_flight--;
}

bool GenerationJob::keeps(const Share &share) const {
    if (share.input != Input::Follow) return true;
    return goes_on() && !last_token_is_fed_;
}

SamplingControl GenerationJob::control(const Share &share) {
    SamplingControl record;
    record.samples = share.samples && status_ == DS4_JOB_RUNNING && finish_ == DS4_FINISH_NONE;
    if (!record.samples) return record;
    if (is_thinking() && options_.reasoning_budget > 0 &&
        thinking_tokens_ >= options_.reasoning_budget)
        record.forced = options_.think_close_token;
    else
        record = sampling_.next(options_.tool_zones != 0 && zones_.greedy());
    has_drawn_ = record.forced < 0 && !record.greedy;
    record.logprobs = options_.logprobs != 0;
    record.top_logprobs = options_.top_logprobs;
    return record;
}

void GenerationJob::advance(const Share &share, bool kept, const ds4_job_token *token) {
    in_flight--;
    if (!kept) return;
    switch (phase()) {
    case Phase::Prefill:
        prompt_processed_ += share.count;
        if (prompt_processed_ < prompt_.size()) return;
        prefilled_ = Clock::now();
        break;
    case Phase::Decode: last_token_is_fed_ = true; break;
    case Phase::Settle:
        last_token_is_fed_ = true;
        status_ = DS4_JOB_DONE;
        return;
    case Phase::Terminal: return;
    }
    if (token != nullptr)
        report(*token);
    else
        finish(options_.max_tokens == 0 ? DS4_FINISH_LENGTH : DS4_FINISH_CONTEXT);
}

void GenerationJob::report(const ds4_job_token &token) {
    if (std::find(stop_tokens_.begin(), stop_tokens_.end(), token.id) != stop_tokens_.end()) {
        stop_token_ = token.id;
        return finish(DS4_FINISH_STOP);
    }
    produced_.push_back(token);
    generated_++;
    last_token_ = token.id;
    last_token_is_fed_ = false;
    const uint32_t end = read_token(token.id);
    if (end != DS4_FINISH_NONE) return finish(end);
    if (generated_ >= options_.max_tokens) return finish(DS4_FINISH_LENGTH);
    if (!has_room(generated_)) return finish(DS4_FINISH_CONTEXT);
}

// Stop strings and tool blocks count in the answer only, never in the thinking before it. Returns
// DS4_FINISH_*.
uint32_t GenerationJob::read_token(int32_t token) {
    std::span<const uint8_t> bytes;
    if (vocabulary_ != nullptr) bytes = vocabulary_->bytes(token);
    if (is_thinking()) {
        if (!closes_thinking(token, bytes)) {
            thinking_tokens_++;
            return DS4_FINISH_NONE;
        }
        closed_thinking_ = true;
    }
    return read_answer(bytes);
}

// Leaves in bytes what follows the closing tag.
bool GenerationJob::closes_thinking(int32_t token, std::span<const uint8_t> &bytes) {
    const bool is_close_token = token == options_.think_close_token;
    if (is_close_token || vocabulary_ == nullptr) {
        bytes = {};
        return is_close_token;
    }
    const std::span<const uint8_t> tag = vocabulary_->bytes(options_.think_close_token);
    for (size_t i = 0; i < bytes.size() && !tag.empty(); i++) {
        // The tag's first byte does not occur in it again, so nothing else can begin inside.
        if (bytes[i] != tag[close_matched_]) close_matched_ = 0;
        if (bytes[i] == tag[close_matched_]) close_matched_++;
        if (close_matched_ < tag.size()) continue;
        bytes = bytes.subspan(i + 1);
        return true;
    }
    return false;
}

uint32_t GenerationJob::read_answer(std::span<const uint8_t> bytes) {
    if (options_.tool_zones != 0) {
        zones_.feed(bytes);
        if (zones_.closed_blocks() > 0) return DS4_FINISH_STOP;
    }
    if (!stop_strings_.empty()) {
        stop_string_ = stop_strings_.feed(bytes);
        if (stop_string_ != StopStrings::kNone) return DS4_FINISH_STOP_STRING;
    }
    return DS4_FINISH_NONE;
}

void GenerationJob::finish(uint32_t finish) {
    finish_ = finish;
    finished_ = Clock::now();
    if (last_token_is_fed_) status_ = DS4_JOB_DONE;
}

void GenerationJob::cancel() {
    if (status_ != DS4_JOB_RUNNING) return;
    if (finish_ == DS4_FINISH_NONE) finished_ = Clock::now();
    status_ = DS4_JOB_CANCELLED;
}

// Without memory for the text the status has to do.
void GenerationJob::fail(ds4_status status, const char *text) noexcept {
    if (status_ != DS4_JOB_RUNNING) return;
    if (finish_ == DS4_FINISH_NONE) finished_ = Clock::now();
    status_ = DS4_JOB_FAILED;
    error_ = status;
    try {
        error_text = text;
    } catch (const std::bad_alloc &) {
        error_text.clear();
    }
}

bool GenerationJob::wants_mark() const {
    if (in_flight > 0) return false;
    if (phase() == Phase::Terminal)
        return options_.mark_end != 0 && status_ != DS4_JOB_FAILED && !is_end_marked_;
    return taken_position() > marked_ && mark_plan_.is_due(taken_position());
}

void GenerationJob::add_mark(std::shared_ptr<const Mark> mark) {
    marked_ = taken_position();
    is_end_marked_ = phase() == Phase::Terminal;
    if (mark != nullptr) marks_.push_back(std::move(mark));
}

std::shared_ptr<const Mark> GenerationJob::take_mark() {
    if (marks_.empty()) return nullptr;
    std::shared_ptr<const Mark> mark = std::move(marks_.front());
    marks_.pop_front();
    return mark;
}

void GenerationJob::drain(ds4_job_token *tokens, uint32_t capacity, ds4_job_state &state) {
    const uint32_t count = uint32_t(std::min<size_t>(capacity, produced_.size()));
    std::copy_n(produced_.begin(), count, tokens);
    produced_.erase(produced_.begin(), produced_.begin() + count);

    // A step that ran ahead may still use the session.
    const uint32_t status = in_flight > 0 ? uint32_t(DS4_JOB_RUNNING) : status_;
    const bool is_over = status_ != DS4_JOB_RUNNING || finish_ != DS4_FINISH_NONE;
    const Clock::time_point end = is_over ? finished_ : Clock::now();
    const Clock::time_point decode_begin = prompt_processed_ == prompt_.size() ? prefilled_ : end;
    const auto microseconds = [](Clock::duration d) {
        return uint64_t(std::chrono::duration_cast<std::chrono::microseconds>(d).count());
    };
    state.status = status;
    state.finish = finish_;
    state.token_count = count;
    state.pending_tokens = uint32_t(produced_.size());
    state.prompt_processed = prompt_processed_;
    state.generated = generated_;
    state.stop_token = stop_token_;
    state.stop_string = stop_string_;
    state.error = error_;
    state.prefill_us = microseconds(decode_begin - started_);
    state.decode_us = microseconds(end - decode_begin);
    state.pending_marks = uint32_t(marks_.size());
}

} // namespace ds4
