#include "core/scheduler/scheduler.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <optional>

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

// The result of one item of a step.
struct Scheduler::Outcome {
    ds4_status status = DS4_OK;
    std::string text;
    size_t row = 0; // index into logits_
    std::optional<ds4_job_token> token;

    bool attempt(const auto &action) noexcept {
        set(DS4_OK, "");
        try {
            action();
        } catch (const Error &error) {
            set(error.status(), error.what());
        } catch (const std::bad_alloc &) {
            set(DS4_ERR_DEVICE_MEMORY, "out of host memory during a step");
        } catch (const std::exception &error) {
            set(DS4_ERR_INTERNAL, error.what());
        }
        return status == DS4_OK;
    }

  private:
    // Without memory for the text the status has to do.
    void set(ds4_status new_status, const char *what) noexcept {
        status = new_status;
        try {
            text = what;
        } catch (const std::bad_alloc &) {
            text.clear();
        }
    }
};

Scheduler::Scheduler(Executor &executor)
    : executor_(executor), planner_(executor.max_step_tokens()) {}

Scheduler::~Scheduler() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        for (auto &[id, job] : jobs_) {
            job->cancel_requested = true;
            if (job->in_step) executor_.cancel(job->session);
        }
    }
    work_.notify_all();
    if (thread_.joinable()) thread_.join();
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
    auto job = std::make_unique<GenerationJob>(id, std::move(request), room, vocabulary_);
    if (!thread_.joinable()) {
        const BlockedSignals blocked;
        thread_ = std::thread([this] { run(); });
    }
    // Nothing may throw once the job is in one of the two lists.
    active_.reserve(active_.size() + 1);
    wakes_.reserve(active_.size() + 1);
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
    work_.notify_one();
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

std::string Scheduler::error(uint64_t id) {
    const std::lock_guard lock(mutex_);
    const GenerationJob &job = find(id);
    if (job.error_text.empty() && job.error() == DS4_ERR_DEVICE_MEMORY) return "out of host memory";
    return job.error_text;
}

void Scheduler::cancel(uint64_t id) {
    Wakes wakes;
    {
        const std::lock_guard lock(mutex_);
        GenerationJob &job = find(id);
        if (job.phase() == Phase::Terminal || job.phase() == Phase::Settle) return;
        job.cancel_requested = true;
        if (job.in_step) {
            executor_.cancel(job.session);
        } else {
            job.cancel();
            retire(job);
            request_wake(job, wakes);
        }
    }
    wake(wakes);
}

void Scheduler::free(uint64_t id) {
    const std::lock_guard lock(mutex_);
    if (find(id).phase() != Phase::Terminal)
        fail(DS4_ERR_ARGUMENT,
             "job %llu is running; cancel it and poll until its status is terminal",
             static_cast<unsigned long long>(id));
    jobs_.erase(id);
}

void Scheduler::release(const ds4_session *session) {
    Wakes wakes;
    {
        std::unique_lock lock(mutex_);
        if (GenerationJob *job = owner(session); job != nullptr && job->in_step) {
            job->cancel_requested = true;
            executor_.cancel(job->session);
        }
        stepped_.wait(lock, [&] {
            const GenerationJob *job = owner(session);
            return job == nullptr || !job->in_step;
        });
        GenerationJob *const job = owner(session);
        if (job == nullptr) return;
        if (job->phase() != Phase::Terminal) {
            job->cancel();
            retire(*job);
            request_wake(*job, wakes);
        }
        job->session = nullptr;
    }
    wake(wakes);
}

// The job has come to its end: it takes no step any more, and its session is free.
void Scheduler::retire(GenerationJob &job) noexcept {
    std::erase(active_, &job);
    executor_.release_claim(job.session);
}

void Scheduler::request_wake(GenerationJob &job, Wakes &wakes) {
    if (job.wake_sent) return;
    job.wake_sent = true;
    wakes.push_back(job.tag);
}

void Scheduler::wake(const Wakes &wakes) const {
    void (*const function)(uint32_t) = wake_.load();
    if (function == nullptr) return;
    for (const uint32_t tag : wakes) function(tag);
}

void Scheduler::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        work_.wait(lock, [this] { return stopping_ || !active_.empty(); });
        if (stopping_) break;
        if (plan_step())
            step(lock);
        else
            fail_newest(lock);
    }
    for (auto &[id, job] : jobs_) job->cancel();
}

// Chooses the next step's batch; returns false, with nothing changed, if memory is short.
bool Scheduler::plan_step() noexcept {
    try {
        batch_ = planner_.plan(active_);
        items_.clear();
        for (const auto &[job, count] : batch_) {
            const uint32_t logits = job->wants_logits(count) ? DS4_LOGITS_LAST : DS4_LOGITS_NONE;
            items_.push_back(
                {job->session, job->next_tokens(), count, logits, executor_.watch(job->session)});
        }
        outcomes_.clear();
        outcomes_.resize(batch_.size());
    } catch (const std::exception &) {
        return false;
    }
    for (const BatchEntry &entry : batch_) entry.job->in_step = true;
    return true;
}

// The newest job gives way to those that have run so far.
void Scheduler::fail_newest(std::unique_lock<std::mutex> &lock) noexcept {
    GenerationJob &job = *active_.back();
    job.fail(DS4_ERR_DEVICE_MEMORY, {});
    retire(job);
    wakes_.clear();
    request_wake(job, wakes_);
    lock.unlock();
    wake(wakes_);
    lock.lock();
}

// Runs the step of batch_. The lock is held on entry and on return, but not during the step and the
// sampling.
void Scheduler::step(std::unique_lock<std::mutex> &lock) noexcept {
    lock.unlock();
    const auto begin = std::chrono::steady_clock::now();
    evaluate(items_, outcomes_);
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::steady_clock::now() - begin);
    sample(batch_, items_, outcomes_);
    lock.lock();

    planner_.record_step(batch_, uint64_t(took.count()));
    wakes_.clear();
    for (size_t i = 0; i < batch_.size(); i++) {
        GenerationJob &job = *batch_[i].job;
        job.in_step = false;
        try {
            settle(job, batch_[i].count, outcomes_[i]);
        } catch (const std::bad_alloc &) {
            job.fail(DS4_ERR_DEVICE_MEMORY, {});
        }
        if (job.phase() == Phase::Terminal) retire(job);
        request_wake(job, wakes_);
    }
    lock.unlock();
    stepped_.notify_all();
    wake(wakes_);
    lock.lock();
}

// Runs the items in one step. If that fails, they run one by one, so that only the faulty ones
// fail. A shared step is cancelled only if all its sessions are, so none of them runs again.
void Scheduler::evaluate(std::span<const StepItem> items, std::span<Outcome> outcomes) {
    size_t rows = 0;
    for (size_t i = 0; i < items.size(); i++) {
        outcomes[i].row = rows;
        rows += items[i].logits == DS4_LOGITS_NONE ? 0 : 1;
    }
    const uint32_t vocab = executor_.vocab();
    const auto row = [&](size_t index) {
        if (logits_.size() < (index + 1) * vocab) logits_.resize((index + 1) * vocab);
        return logits_.data() + index * vocab;
    };
    const auto run_together = [&] {
        if (rows > 0) row(rows - 1);
        executor_.step(items, rows > 0 ? logits_.data() : nullptr);
    };
    if (outcomes[0].attempt(run_together) || items.size() == 1) return;
    if (outcomes[0].status == DS4_ERR_CANCELLED) {
        for (Outcome &outcome : outcomes) outcome.status = DS4_ERR_CANCELLED;
        return;
    }
    for (size_t i = 0; i < items.size(); i++)
        outcomes[i].attempt([&] {
            executor_.step(items.subspan(i, 1),
                           items[i].logits == DS4_LOGITS_NONE ? nullptr : row(outcomes[i].row));
        });
}

void Scheduler::sample(const Batch &batch, std::span<const StepItem> items,
                       std::span<Outcome> outcomes) {
    const uint32_t vocab = executor_.vocab();
    for (size_t i = 0; i < batch.size(); i++) {
        Outcome &outcome = outcomes[i];
        if (outcome.status != DS4_OK || items[i].logits == DS4_LOGITS_NONE) continue;
        outcome.attempt([&] {
            outcome.token = batch[i].job->sample({logits_.data() + outcome.row * vocab, vocab});
        });
    }
}

void Scheduler::settle(GenerationJob &job, uint32_t count, Outcome &outcome) {
    if (outcome.status == DS4_ERR_CANCELLED) return job.cancel();
    if (outcome.status != DS4_OK) return job.fail(outcome.status, std::move(outcome.text));
    job.advance(count, outcome.token ? &*outcome.token : nullptr);
    // A job whose end is known only settles, which takes one step. It goes on in spite of the
    // cancel, so that the session can be reused.
    if (job.cancel_requested && job.phase() != Phase::Settle) job.cancel();
}

} // namespace ds4
