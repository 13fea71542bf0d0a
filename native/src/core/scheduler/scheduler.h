// Runs all jobs of one engine on one thread: admission, steps of two lanes, sampling records, stop
// conditions. The thread sleeps while nothing can be done.
//
// In the decode lane the next step is submitted while the last one runs, on the token that it will
// sample. A token that ends its job makes the step that ran ahead drop it.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "backend/step.h"
#include "core/scheduler/batch_planner.h"

struct ds4_job_state;
struct ds4_job_token;
struct ds4_session;

namespace ds4 {

class Executor;
class Mark;
class Vocabulary;
struct GenerationRequest;

class Scheduler : private StepListener {
  public:
    // The executor outlives the scheduler. The thread starts with the first job.
    explicit Scheduler(Executor &executor);
    ~Scheduler() override; // cancels every job and joins
    Scheduler(const Scheduler &) = delete;
    Scheduler &operator=(const Scheduler &) = delete;

    // These implement the functions of ds4.h with the same names; all throw ds4::Error.
    void set_vocabulary(std::span<const uint8_t> bytes, std::span<const uint32_t> offsets);
    void set_waker(void (*wake)(uint32_t tag));
    uint64_t start(GenerationRequest request);
    // tokens: [capacity]. Clears the job's wake-up before it drains, so that no wake-up is lost.
    void poll(uint64_t job, ds4_job_token *tokens, uint32_t capacity, ds4_job_state &state);
    std::shared_ptr<const Mark> take_mark(uint64_t job); // null if none is left
    std::string error(uint64_t job);
    void cancel(uint64_t job);
    void free(uint64_t job);
    // Ends the job that owns the session, if there is one, and returns when no step uses it. Call
    // it before the session is closed.
    void release(const ds4_session *session);

  private:
    // A step in flight with what it takes of which job.
    struct Flight {
        uint64_t number = 0;
        Batch batch;
        std::vector<SamplingControl> records; // of the entries that sample
        std::vector<uint32_t> kept;           // by entry
        bool controlled = false;              // records and kept have been said
        std::unique_ptr<Step> step;
    };
    void step_done() noexcept override; // something has changed for the thread
    void run();
    bool advance() noexcept;
    bool launch(Lane lane) noexcept;
    bool may_step(GenerationJob &job);
    std::optional<Batch> plan(Lane lane);
    Flight prepare(Lane lane, const Batch &batch);
    void control(Flight &flight) noexcept;
    void land(Lane lane, Flight &flight) noexcept;
    void settle(const BatchEntry &entry, bool kept, const ds4_job_token *token) noexcept;
    void put_back(Flight &flight) noexcept;
    void fail_newest() noexcept;
    void retire(GenerationJob &job) noexcept;
    void mark_if_due(GenerationJob &job) noexcept;
    void end_if_over(GenerationJob &job) noexcept;
    static void request_wake(GenerationJob &job) noexcept;
    void send_wakes();
    GenerationJob &find(uint64_t id);
    GenerationJob *owner(const ds4_session *session);

    Executor &executor_;
    std::mutex mutex_;
    std::atomic<uint32_t> events_{0}; // counts what the thread has to look at
    std::condition_variable landed_;  // a step has ended
    std::unordered_map<uint64_t, std::unique_ptr<GenerationJob>> jobs_;
    std::vector<GenerationJob *> active_; // jobs that have not come to their end, as they arrived
    std::deque<Flight> decode_;           // at most two: one runs, the next one is ahead
    std::optional<Flight> prefill_;
    BatchPlanner planner_;
    std::shared_ptr<const Vocabulary> vocabulary_;
    std::atomic<void (*)(uint32_t)> wake_ = nullptr;
    uint64_t next_id_ = 1, flights_ = 0;
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace ds4
