// Continuous batching: one thread steps every running job of an engine together. It owns the order
// of work, the queues of produced tokens and the end of each job; the arithmetic is the Stepper's.
//
// A job passes through prefill (its prompt, in chunks), decode (one token a step) and, if its last
// reported token is not in the session yet, settling (that one token, without logits). `finish` is
// set as soon as the end is known, so that a client can deliver it at once; `status` stays RUNNING
// until the session is settled and may be reused.
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
#include "core/scheduler/generation_job.h"
#include "core/scheduler/executor.h"
#include "core/scheduler/vocabulary.h"
#include "ds4.h"

namespace ds4 {

class Loop {
  public:
    explicit Loop(
        Stepper &stepper); // the stepper outlives the loop; the thread starts with the first job
    ~Loop();               // cancels every job and joins
    Loop(const Loop &) = delete;
    Loop &operator=(const Loop &) = delete;

    // The functions of ds4.h with the same names; all throw ds4::Error.
    void set_vocabulary(std::span<const uint8_t> bytes, std::span<const uint32_t> offsets);
    void set_waker(void (*wake)(uint32_t tag));
    uint64_t start(JobRequest request);
    // tokens: [capacity]. Clears the job's wake-up before it drains.
    void poll(uint64_t job, ds4_job_token *tokens, uint32_t capacity, ds4_job_state &state);
    std::string error(uint64_t job);
    void cancel(uint64_t job);
    void free(uint64_t job);
    // The session is about to go: ends the job that owns it, if any, and returns when no step uses
    // it.
    void release(const ds4_session *session);

  private:
    struct Outcome;
    using Wakes = std::vector<uint32_t>; // tags to call once the lock is dropped

    void run();
    void check(const JobRequest &request) const;
    void step(std::unique_lock<std::mutex> &lock, const std::vector<Batch::Part> &parts);
    void evaluate(std::span<const StepItem> items, std::span<Outcome> outcomes);
    void sample(const std::vector<Batch::Part> &parts, std::span<const StepItem> items,
                std::span<Outcome> outcomes);
    void settle(Job &job, uint32_t count, const Outcome &outcome);
    void arm(Job &job, Wakes &wakes);
    void wake(const Wakes &wakes) const;
    Job &find(uint64_t id);
    Job *owner(const ds4_session *session);

    Stepper &stepper_;
    std::mutex mutex_;
    std::condition_variable work_, stepped_; // there is something to do; a step has ended
    std::unordered_map<uint64_t, std::unique_ptr<Job>> jobs_;
    std::vector<Job *> active_; // in order of arrival; everything that may still be stepped
    Batch batch_;
    std::shared_ptr<const Vocabulary> vocabulary_;
    std::atomic<void (*)(uint32_t)> wake_ = nullptr;
    uint64_t next_id_ = 1;
    bool stopping_ = false;
    std::vector<float> logits_; // [rows, vocab], the loop thread's
    std::thread thread_;
};

} // namespace ds4
