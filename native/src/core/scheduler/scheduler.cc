#include "core/scheduler/scheduler.h"

#include <algorithm>
#include <array>
#include <new>

#include "base/blocked_signals.h"
#include "base/error.h"
#include "base/fail.h"
#include "core/scheduler/executor.h"
#include "core/scheduler/generation_job.h"
#include "core/scheduler/generation_request.h"
#include "core/scheduler/vocabulary.h"
#include "ds4.h"

namespace ds4 {

using Phase = GenerationJob::Phase;
using Input = GenerationJob::Input;

Scheduler::Scheduler(Executor &executor)
    : executor_(executor), planner_(executor.max_step_tokens()) {}

Scheduler::~Scheduler() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        for (auto &[id, job] : jobs_) {
            job->cancel_requested = true;
            if (job->in_flight > 0) executor_.cancel(job->session);
        }
    }
    step_done();
    if (thread_.joinable()) thread_.join();
}

void Scheduler::step_done() noexcept {
    events_.fetch_add(1, std::memory_order_acq_rel);
    events_.notify_all();
}

void Scheduler::set_vocabulary(std::span<const uint8_t> bytes, std::span<const uint32_t> offsets) {
    auto vocabulary = std::make_shared<const Vocabulary>(bytes, offsets);
    if (vocabulary->size() != executor_.vocab())
        fail(DS4_ERR_ARGUMENT, "the vocabulary has %u tokens, the model has %u", vocabulary->size(),
             executor_.vocab());
    const std::lock_guard lock(mutex_);
    vocabulary_ = std::move(vocabulary);
}

void Scheduler::set_waker(void (*wake)(uint32_t tag)) { wake_.store(wake); }

uint64_t Scheduler::start(GenerationRequest request) {
    check_request(request, executor_.vocab());
    const uint32_t position = executor_.position(request.session);
    const uint32_t capacity = executor_.capacity(request.session);
    const uint32_t room = capacity - std::min(position, capacity);
    if (request.prompt.size() > room)
        fail(DS4_ERR_CONTEXT_FULL,
             "the prompt has %zu tokens; the session has room for %u (context_tokens %u, position "
             "%u)",
             request.prompt.size(), room, capacity, position);

    const std::lock_guard lock(mutex_);
    if (const GenerationJob *job = owner(request.session))
        fail(DS4_ERR_ARGUMENT, "the session belongs to job %llu, which has not been freed",
             static_cast<unsigned long long>(job->id));
    if (request.reads_bytes() && vocabulary_ == nullptr)
        fail(DS4_ERR_ARGUMENT, "stop strings and tool zones need ds4_engine_set_vocabulary first");
    const uint64_t id = next_id_;
    ds4_session *const session = request.session;
    auto job = std::make_unique<GenerationJob>(id, std::move(request), position, room, vocabulary_);
    if (!thread_.joinable()) {
        const BlockedSignals blocked;
        thread_ = std::thread([this] { run(); });
    }
    // Nothing may throw once the job is in one of the two lists.
    active_.reserve(active_.size() + 1);
    executor_.claim(job->session);
    GenerationJob *added = nullptr;
    try {
        added = jobs_.emplace(id, std::move(job)).first->second.get();
    } catch (...) {
        executor_.release_claim(session);
        throw;
    }
    active_.push_back(added);
    next_id_++;
    step_done();
    return id;
}

GenerationJob &Scheduler::find(uint64_t id) {
    const auto found = jobs_.find(id);
    if (found == jobs_.end())
        fail(DS4_ERR_ARGUMENT, "there is no job %llu, or it has been freed",
             static_cast<unsigned long long>(id));
    return *found->second;
}

GenerationJob *Scheduler::owner(const ds4_session *session) {
    const auto found = std::find_if(jobs_.begin(), jobs_.end(), [session](const auto &entry) {
        return entry.second->session == session;
    });
    return found == jobs_.end() ? nullptr : found->second.get();
}

void Scheduler::poll(uint64_t id, ds4_job_token *tokens, uint32_t capacity, ds4_job_state &state) {
    const std::lock_guard lock(mutex_);
    GenerationJob &job = find(id);
    job.wake_sent = false;
    job.drain(tokens, capacity, state);
}

std::shared_ptr<const Mark> Scheduler::take_mark(uint64_t id) {
    const std::lock_guard lock(mutex_);
    return find(id).take_mark();
}

std::string Scheduler::error(uint64_t id) {
    const std::lock_guard lock(mutex_);
    const GenerationJob &job = find(id);
    if (job.error_text.empty() && job.error() == DS4_ERR_DEVICE_MEMORY) return "out of host memory";
    return job.error_text;
}

void Scheduler::cancel(uint64_t id) {
    {
        const std::lock_guard lock(mutex_);
        GenerationJob &job = find(id);
        if (job.phase() == Phase::Terminal || job.phase() == Phase::Settle) return;
        job.cancel_requested = true;
        if (job.in_flight > 0) {
            executor_.cancel(job.session);
        } else {
            job.cancel();
            end_if_over(job);
        }
    }
    send_wakes();
}

void Scheduler::free(uint64_t id) {
    const std::lock_guard lock(mutex_);
    if (const GenerationJob &job = find(id); job.phase() != Phase::Terminal || job.in_flight > 0)
        fail(DS4_ERR_ARGUMENT,
             "job %llu is running; cancel it and poll until its status is terminal",
             static_cast<unsigned long long>(id));
    jobs_.erase(id);
}

void Scheduler::release(const ds4_session *session) {
    {
        std::unique_lock lock(mutex_);
        if (GenerationJob *job = owner(session); job != nullptr && job->in_flight > 0) {
            job->cancel_requested = true;
            executor_.cancel(job->session);
        }
        landed_.wait(lock, [&] {
            const GenerationJob *job = owner(session);
            return job == nullptr || job->in_flight == 0;
        });
        GenerationJob *const job = owner(session);
        if (job == nullptr) return;
        if (job->phase() != Phase::Terminal) {
            job->cancel();
            retire(*job);
            request_wake(*job);
        }
        job->session = nullptr;
    }
    send_wakes();
}

// The job has come to its end: it takes no step any more, and its session is free.
void Scheduler::retire(GenerationJob &job) noexcept {
    if (std::erase(active_, &job) > 0) executor_.release_claim(job.session);
}

void Scheduler::request_wake(GenerationJob &job) noexcept {
    if (job.wake_sent) return;
    job.wake_sent = job.wake_due = true;
}

// Calls the waker for the jobs that are due. It is called without the lock, since it may call back.
void Scheduler::send_wakes() {
    std::array<uint32_t, 32> tags;
    size_t count = 0;
    do {
        count = 0;
        {
            const std::lock_guard lock(mutex_);
            for (auto &[id, job] : jobs_) {
                if (!job->wake_due || count == tags.size()) continue;
                job->wake_due = false;
                tags[count++] = job->tag;
            }
        }
        void (*const function)(uint32_t) = wake_.load();
        for (size_t i = 0; i < count && function != nullptr; i++) function(tags[i]);
    } while (count == tags.size());
}

void Scheduler::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        const uint32_t seen = events_.load(std::memory_order_acquire);
        const bool progressed = advance();
        lock.unlock();
        landed_.notify_all();
        send_wakes();
        if (!progressed) events_.wait(seen, std::memory_order_acquire);
        lock.lock();
    }
    prefill_.reset();
    while (!decode_.empty()) decode_.pop_back();
    for (auto &[id, job] : jobs_) {
        job->in_flight = 0;
        job->cancel();
    }
}

// Ends the steps that are done and submits those that can be; returns false if there were none.
bool Scheduler::advance() noexcept {
    bool progressed = false;
    if (prefill_ && prefill_->step->is_done()) {
        land(Lane::prefill, *prefill_);
        prefill_.reset();
        progressed = true;
    }
    if (!decode_.empty() && decode_.front().step->is_done()) {
        land(Lane::decode, decode_.front());
        decode_.pop_front();
        if (!decode_.empty() && !decode_.front().controlled) control(decode_.front());
        progressed = true;
    }
    progressed = launch(Lane::decode) || progressed;
    return launch(Lane::prefill) || progressed;
}

// Whether a step of the job may be submitted now. Before its first step other callers may have
// moved the session; from then on the job alone does.
bool Scheduler::may_step(GenerationJob &job) {
    if (!executor_.may_step(job.session, *this)) return false;
    if (!job.has_begun())
        job.set_room(executor_.capacity(job.session) - executor_.position(job.session));
    return true;
}

// The batch of the lane's next step, or none.
std::optional<Batch> Scheduler::plan(Lane lane) {
    const auto alone = std::find_if(active_.begin(), active_.end(),
                                    [](const GenerationJob *job) { return job->runs_alone; });
    const bool isolates = alone != active_.end();
    if (lane == Lane::decode && isolates) {
        GenerationJob &job = **alone;
        if (!decode_.empty() || job.in_flight > 0 || !may_step(job)) return std::nullopt;
        const uint32_t count = std::min(job.next_share().count, executor_.max_step_tokens());
        return Batch{{&job, job.first(job.next_share(), count)}};
    }
    const auto may = [&](GenerationJob &job) {
        if (job.runs_alone) return false;
        // A token follows within its lane, from one step to the next.
        if (job.next_share().input == Input::Follow &&
            (decode_.empty() || decode_.back().number != job.flight))
            return false;
        return may_step(job);
    };
    Batch batch = lane == Lane::decode ? planner_.plan_decode(active_, may)
                                       : planner_.plan_prefill(active_, may);
    if (batch.empty()) return std::nullopt;
    return batch;
}

Scheduler::Flight Scheduler::prepare(Lane lane, const Batch &batch) {
    Flight flight;
    std::vector<StepItem> items;
    items.reserve(batch.size());
    for (const auto &[job, share] : batch) {
        items.push_back({job->session, job->tokens_of(share), share.count,
                         share.input == Input::Follow ? job->sampled_index : -1, DS4_LOGITS_NONE,
                         share.samples, executor_.watch(job->session)});
        if (share.samples) flight.records.emplace_back();
    }
    flight.kept.resize(batch.size());
    flight.number = flights_ + 1;
    flight.batch = batch;
    flight.step = executor_.submit(lane, items, *this);
    return flight;
}

// Submits the lane's next step if there is one. Returns false with nothing changed otherwise.
bool Scheduler::launch(Lane lane) noexcept {
    if (lane == Lane::decode ? decode_.size() > 1 : prefill_.has_value()) return false;
    const struct Planning {
        Executor &executor;
        ~Planning() { executor.end_planning(); }
    } planning{executor_};
    std::optional<Batch> batch;
    try {
        batch = plan(lane);
        if (!batch) return false;
        Flight flight = prepare(lane, *batch);
        if (lane == Lane::decode)
            decode_.push_back(std::move(flight));
        else
            prefill_ = std::move(flight);
    } catch (const Error &error) {
        if (!batch) return false;
        // Running each item of a shared step by itself finds the faulty one.
        for (const BatchEntry &entry : *batch) entry.job->runs_alone = true;
        if (batch->size() > 1) return true;
        GenerationJob &job = *batch->front().job;
        if (job.in_flight > 0) return false; // its turn comes when that has ended
        job.fail(ds4_status(error.status()), error.what());
        end_if_over(job);
        return true;
    } catch (const std::exception &) {
        // With a step in flight there may be memory when it has ended.
        if (!decode_.empty() || prefill_) return false;
        fail_newest();
        return true;
    }
    Flight &flight = lane == Lane::decode ? decode_.back() : *prefill_;
    flights_++;
    int32_t index = 0;
    bool follows = false;
    for (const auto &[job, share] : flight.batch) {
        job->take(share);
        job->flight = flight.number;
        job->sampled_index = share.samples ? index++ : -1;
        follows = follows || share.input == Input::Follow;
    }
    if (!follows) control(flight);
    return true;
}

// Says how the step's rows are sampled and which of its tokens stay: all that came before it is
// known.
void Scheduler::control(Flight &flight) noexcept {
    size_t record = 0;
    for (size_t i = 0; i < flight.batch.size(); i++) {
        const auto &[job, share] = flight.batch[i];
        flight.kept[i] = job->keeps(share) ? share.count : 0;
        if (share.samples) flight.records[record++] = job->control(share);
    }
    flight.controlled = true;
    if (!flight.records.empty()) flight.step->control(flight.records);
    flight.step->commit(flight.kept);
}

// Takes the result of a step that is done, and destroys the step.
void Scheduler::land(Lane lane, Flight &flight) noexcept {
    const StepResult &result = flight.step->await();
    const bool decodes = lane == Lane::decode;
    if (result.status != DS4_OK && decodes && !decode_.back().controlled) {
        put_back(decode_.back()); // it ran ahead and stands on this step
        decode_.pop_back();
    }
    if (result.status != DS4_OK && result.status != DS4_ERR_CANCELLED && flight.batch.size() > 1) {
        for (size_t i = 0; i < flight.batch.size(); i++)
            if (flight.kept[i] > 0) flight.batch[i].job->runs_alone = true;
        put_back(flight);
        return;
    }
    if (result.status == DS4_OK && decodes)
        planner_.record_decode(flight.batch, result.microseconds);
    if (result.status == DS4_OK && !decodes)
        planner_.record_prefill(flight.batch, result.microseconds);
    size_t sampled = 0;
    for (size_t i = 0; i < flight.batch.size(); i++) {
        const auto &[job, share] = flight.batch[i];
        const ds4_job_token *token = share.samples ? &result.tokens[sampled++] : nullptr;
        if (token != nullptr && token->id < 0) token = nullptr;
        settle(flight.batch[i], result.status == DS4_OK && flight.kept[i] > 0, token);
        if (flight.kept[i] == 0 || result.status == DS4_OK) continue;
        if (result.status == DS4_ERR_CANCELLED)
            job->cancel();
        else
            job->fail(result.status, result.text.c_str());
    }
    flight.step.reset();
    for (const BatchEntry &entry : flight.batch) {
        request_wake(*entry.job);
        mark_if_due(*entry.job);
        end_if_over(*entry.job);
    }
}

// The step that brought the job here is gone, and none runs ahead of a mark.
void Scheduler::mark_if_due(GenerationJob &job) noexcept {
    if (!job.wants_mark()) return;
    try {
        job.add_mark(executor_.mark(job.session));
    } catch (const std::bad_alloc &) {
        return; // the mark is left out
    }
}

void Scheduler::settle(const BatchEntry &entry, bool kept, const ds4_job_token *token) noexcept {
    GenerationJob &job = *entry.job;
    try {
        job.advance(entry.share, kept, token);
    } catch (const std::bad_alloc &) {
        job.fail(DS4_ERR_DEVICE_MEMORY, "out of host memory");
    }
    job.runs_alone = false;
    // A job whose end is known only settles, which takes one step. It goes on in spite of the
    // cancel, so that the session can be reused.
    if (job.cancel_requested && job.phase() != Phase::Settle) job.cancel();
}

// Undoes a step that has not happened, or will not.
void Scheduler::put_back(Flight &flight) noexcept {
    flight.step.reset();
    for (const auto &[job, share] : flight.batch) {
        job->put_back(share, flight.controlled);
        if (job->cancel_requested && job->in_flight == 0) job->cancel();
        end_if_over(*job);
    }
}

void Scheduler::end_if_over(GenerationJob &job) noexcept {
    if (job.phase() != Phase::Terminal || job.in_flight > 0) return;
    mark_if_due(job);
    request_wake(job);
    retire(job);
}

// The newest job gives way to those that have run so far.
void Scheduler::fail_newest() noexcept {
    GenerationJob &job = *active_.back();
    job.fail(DS4_ERR_DEVICE_MEMORY, "out of host memory");
    end_if_over(job);
}

} // namespace ds4
