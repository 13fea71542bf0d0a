// A lane on a host thread: runs submitted steps one after another through a runner. Backends that
// compute on the CPU use it; so do the scheduler's tests.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "backend/step.h"

namespace ds4 {

// Asked by a runner between layers.
class StepInterest {
  public:
    virtual ~StepInterest() = default;
    // Nobody wants the step any more: it was dropped, or all its sequences were cancelled.
    virtual bool is_cancelled() const = 0;
};

// Carries out the steps of a lane. All calls but commit come from the lane's thread, for one step
// at a time.
class StepRunner {
  public:
    virtual ~StepRunner() = default;
    // Computes the rows; nothing becomes current. Throws Error, with DS4_ERR_CANCELLED when the
    // interest is gone. Returns the microseconds of computing.
    virtual uint64_t evaluate(const StepPlan &plan, std::span<const int32_t> tokens,
                              const StepInterest &interest) = 0;
    // The step is evaluated, and its records have not come yet: others may compute meanwhile.
    virtual void pause() noexcept {}
    // records, out: [sampled rows]
    virtual void sample(std::span<const SamplingControl> records, std::span<ds4_job_token> out) = 0;
    // The step has come to its end, whatever that was: what it held for sampling may go.
    virtual void leave() noexcept {}
    // No step has come for a while: memory that only steps need may go. Called once until the next.
    virtual void rest() noexcept {}
    // Makes the first `kept` tokens of each sequence current, from any thread.
    virtual void commit(const StepPlan &plan, std::span<const int32_t> tokens,
                        std::span<const uint32_t> kept) = 0;
};

class StepLane {
  public:
    // patience: time without a step after which the runner rests.
    explicit StepLane(StepRunner &runner,
                      std::chrono::milliseconds patience = std::chrono::seconds(5))
        : runner_(runner), patience_(patience) {}
    ~StepLane(); // every step has been destroyed before
    StepLane(const StepLane &) = delete;
    StepLane &operator=(const StepLane &) = delete;

    // Throws Error(DS4_ERR_ARGUMENT) for a token that follows nothing, std::bad_alloc.
    std::unique_ptr<Step> submit(StepPlan plan);

  private:
    class Submitted;
    struct State;

    void run();
    void await_work(std::unique_lock<std::mutex> &lock);
    void execute(State &state) noexcept;
    void evaluate(State &state);
    void await_control(const State &state);
    void apply(State &state, std::unique_lock<std::mutex> &lock) noexcept;

    StepRunner &runner_;
    const std::chrono::milliseconds patience_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::shared_ptr<State>> queue_;
    std::shared_ptr<State> newest_; // the step submitted last, for those that follow it
    bool stopping_ = false;
    std::thread thread_; // starts with the first step
};

} // namespace ds4
