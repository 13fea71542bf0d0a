// Continuous batching: one thread steps all running jobs of an engine together. The scheduler owns
// the order of work, the queues of produced tokens and the end of each job. An Executor computes.
//
// A job passes through prefill (its prompt, in chunks) and decode (one token a step). If its last
// reported token is not in the session at its end, one settling step without logits feeds it.
// `finish` is set as soon as the end is known, so that a client can deliver it at once. `status`
// stays RUNNING until the session is settled; then the session may be reused.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/scheduler/batch_planner.h"

struct ds4_job_state;
struct ds4_job_token;
struct ds4_session;

namespace ds4 {

class Executor;
class GenerationJob;
class Vocabulary;
struct GenerationRequest;
struct StepItem;

class Scheduler {
  public:
    // The executor outlives the scheduler. The thread starts with the first job.
    explicit Scheduler(Executor &executor);
    ~Scheduler(); // cancels every job and joins
    Scheduler(const Scheduler &) = delete;
    Scheduler &operator=(const Scheduler &) = delete;

    // These implement the functions of ds4.h with the same names; all throw ds4::Error.
    void set_vocabulary(std::span<const uint8_t> bytes, std::span<const uint32_t> offsets);
    void set_waker(void (*wake)(uint32_t tag));
    uint64_t start(GenerationRequest request);
    // tokens: [capacity]. Clears the job's wake-up before it drains, so that no wake-up is lost.
    void poll(uint64_t job, ds4_job_token *tokens, uint32_t capacity, ds4_job_state &state);
    std::string error(uint64_t job);
    void cancel(uint64_t job);
    void free(uint64_t job);
    // Ends the job that owns the session, if there is one, and returns when no step uses it. Call
    // it before the session is closed.
    void release(const ds4_session *session);

  private:
    struct Outcome;
    using Wakes = std::vector<uint32_t>; // tags for the waker, called after the lock is released

    void run();
    bool plan_step() noexcept;
    void step(std::unique_lock<std::mutex> &lock) noexcept;
    void fail_newest(std::unique_lock<std::mutex> &lock) noexcept;
    void retire(GenerationJob &job) noexcept;
    void evaluate(std::span<const StepItem> items, std::span<Outcome> outcomes);
    void sample(const Batch &batch, std::span<const StepItem> items, std::span<Outcome> outcomes);
    void settle(GenerationJob &job, uint32_t count, Outcome &outcome);
    static void request_wake(GenerationJob &job, Wakes &wakes);
    void wake(const Wakes &wakes) const;
    GenerationJob &find(uint64_t id);
    GenerationJob *owner(const ds4_session *session);

    Executor &executor_;
    std::mutex mutex_;
    std::condition_variable work_;    // a job came, or the scheduler stops
    std::condition_variable stepped_; // a step has ended
    std::unordered_map<uint64_t, std::unique_ptr<GenerationJob>> jobs_;
    std::vector<GenerationJob *> active_; // jobs that are not terminal, in order of arrival
    BatchPlanner planner_;
    std::shared_ptr<const Vocabulary> vocabulary_;
    std::atomic<void (*)(uint32_t)> wake_ = nullptr;
    uint64_t next_id_ = 1;
    bool stopping_ = false;
    // Used by thread_ alone: the current step, its logits [rows, vocab], and the jobs to wake.
    Batch batch_;
    std::vector<StepItem> items_;
    std::vector<Outcome> outcomes_;
    std::vector<float> logits_;
    Wakes wakes_; // has room for every active job
    std::thread thread_;
};

} // namespace ds4
