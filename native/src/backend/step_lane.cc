#include "backend/step_lane.h"

#include <algorithm>
#include <chrono>
#include <new>

#include "base/blocked_signals.h"
#include "base/error.h"
#include "base/fail.h"

namespace ds4 {
namespace {

using Clock = std::chrono::steady_clock;

uint64_t microseconds_since(Clock::time_point begin) {
    return uint64_t(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count());
}

// Without memory for the text the status has to do.
void record_failure(StepResult &result, ds4_status status, const char *text) noexcept {
    result.status = status;
    try {
        result.text = text;
    } catch (const std::bad_alloc &) {
        result.text.clear();
    }
}

template <typename Action> void attempt(StepResult &result, const Action &action) noexcept {
    try {
        action();
    } catch (const Error &error) {
        record_failure(result, error.status(), error.what());
    } catch (const std::bad_alloc &) {
        record_failure(result, DS4_ERR_DEVICE_MEMORY, "out of host memory during a step");
    } catch (const std::exception &error) {
        record_failure(result, DS4_ERR_INTERNAL, error.what());
    }
}

} // namespace

struct StepLane::State : StepInterest {
    StepPlan plan;
    std::shared_ptr<State> before; // the step that it follows; null once its tokens are known
    std::vector<SamplingControl> records;
    std::vector<uint32_t> kept;
    StepResult result;
    // The lane's mutex guards these.
    bool queued = false, controlled = false, committed = false, applied = false, done = false;
    std::atomic<bool> dropped{false};

    bool is_cancelled() const override {
        return dropped.load(std::memory_order_relaxed) ||
               std::all_of(plan.sequences.begin(), plan.sequences.end(),
                           [](const StepSequence &s) { return s.cancel.cancelled(); });
    }
    bool failed() const { return result.status != DS4_OK; }
};

class StepLane::Submitted : public Step {
  public:
    Submitted(StepLane &lane, std::shared_ptr<State> state)
        : lane_(lane), state_(std::move(state)) {}
    ~Submitted() override {
        std::unique_lock lock(lane_.mutex_);
        if (!state_->queued) return;
        if (!state_->committed) drop(lock);
        lane_.changed_.wait(lock, [&] { return state_->done; });
    }

    void control(std::span<const SamplingControl> records) override {
        const std::lock_guard lock(lane_.mutex_);
        if (records.size() != state_->records.size())
            fail(DS4_ERR_INTERNAL, "%zu control records came for %zu sampled rows", records.size(),
                 state_->records.size());
        std::copy(records.begin(), records.end(), state_->records.begin());
        state_->controlled = true;
        lane_.changed_.notify_all();
    }
    bool is_done() const override {
        const std::lock_guard lock(lane_.mutex_);
        return state_->done;
    }
    const StepResult &await() override {
        std::unique_lock lock(lane_.mutex_);
        lane_.changed_.wait(lock, [&] { return state_->done; });
        return state_->result;
    }
    void commit(std::span<const uint32_t> kept) override {
        std::unique_lock lock(lane_.mutex_);
        if (kept.size() != state_->kept.size())
            fail(DS4_ERR_INTERNAL, "%zu counts came for %zu sequences", kept.size(),
                 state_->kept.size());
        for (size_t i = 0; i < kept.size(); i++)
            if (kept[i] > state_->plan.sequences[i].count)
                fail(DS4_ERR_INTERNAL, "%u of %u tokens are to be kept", kept[i],
                     state_->plan.sequences[i].count);
        std::copy(kept.begin(), kept.end(), state_->kept.begin());
        if (std::all_of(kept.begin(), kept.end(), [](uint32_t count) { return count == 0; }))
            return drop(lock);
        state_->committed = true;
        if (state_->done) lane_.apply(*state_, lock);
        lane_.changed_.notify_all();
    }

  private:
    void drop(std::unique_lock<std::mutex> &lock) {
        std::fill(state_->kept.begin(), state_->kept.end(), 0);
        state_->committed = true;
        state_->dropped = true;
        if (state_->done) lane_.apply(*state_, lock);
        lane_.changed_.notify_all();
    }
    StepLane &lane_;
    std::shared_ptr<State> state_;
};

StepLane::~StepLane() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

std::unique_ptr<Step> StepLane::submit(StepPlan plan) {
    auto state = std::make_shared<State>();
    state->records.resize(plan.sampled_rows());
    state->result.tokens.resize(state->records.size());
    state->kept.resize(plan.sequences.size());
    state->plan = std::move(plan);
    auto step = std::make_unique<Submitted>(*this, state);
    {
        const std::lock_guard lock(mutex_);
        for (const StepSequence &sequence : state->plan.sequences) {
            if (sequence.follows < 0) continue;
            if (newest_ == nullptr || size_t(sequence.follows) >= newest_->records.size() ||
                sequence.count != 1)
                fail(DS4_ERR_ARGUMENT, "the step before this one samples no token %d",
                     sequence.follows);
            state->before = newest_;
        }
        if (!thread_.joinable()) {
            const BlockedSignals blocked;
            thread_ = std::thread([this] { run(); });
        }
        queue_.push_back(state);
        state->queued = true;
        newest_ = std::move(state);
    }
    changed_.notify_all();
    return step;
}

// Returns when there is a step or the lane stops. The lock is held on entry and on return.
void StepLane::await_work(std::unique_lock<std::mutex> &lock) {
    const auto has_work = [this] { return stopping_ || !queue_.empty(); };
    if (changed_.wait_for(lock, patience_, has_work)) return;
    lock.unlock();
    runner_.rest();
    lock.lock();
    changed_.wait(lock, has_work);
}

void StepLane::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        await_work(lock);
        if (queue_.empty()) return;
        const std::shared_ptr<State> state = queue_.front();
        lock.unlock();
        execute(*state);
        lock.lock();
        if (state->committed) apply(*state, lock);
        state->done = true;
        changed_.notify_all();
        if (state->plan.listener != nullptr) state->plan.listener->step_done();
        // The next step may stand on this one's rows.
        changed_.wait(lock, [&] { return state->failed() || state->applied; });
        queue_.pop_front();
    }
}

void StepLane::execute(State &state) noexcept {
    attempt(state.result, [&] { evaluate(state); });
    runner_.leave();
    state.before = nullptr;
}

void StepLane::evaluate(State &state) {
    StepPlan &plan = state.plan;
    size_t next = 0;
    for (const StepSequence &sequence : plan.sequences) {
        if (sequence.follows >= 0) {
            const StepResult &before = state.before->result;
            const int32_t token =
                before.status == DS4_OK ? before.tokens[size_t(sequence.follows)].id : -1;
            if (token < 0) fail(DS4_ERR_CANCELLED, "the step before this one has sampled no token");
            plan.tokens[next] = token;
        }
        next += sequence.count;
    }
    if (state.is_cancelled()) fail(DS4_ERR_CANCELLED, "the step was cancelled before it began");
    state.result.microseconds = runner_.evaluate(plan, plan.tokens, state);
    if (state.records.empty()) return;
    await_control(state);
    if (state.dropped) fail(DS4_ERR_CANCELLED, "the step was dropped");
    const Clock::time_point begin = Clock::now();
    runner_.sample(state.records, state.result.tokens);
    state.result.microseconds += microseconds_since(begin);
}

// Records are mostly said during the forward. While they are not, nothing may wait for this lane:
// whoever says them may itself wait for the other one.
void StepLane::await_control(const State &state) {
    const auto is_said = [&] { return state.controlled || state.dropped; };
    std::unique_lock lock(mutex_);
    if (is_said()) return;
    lock.unlock();
    runner_.pause();
    lock.lock();
    changed_.wait(lock, is_said);
}

// Carries out the commit that has been said. The lock is held on entry and on return.
void StepLane::apply(State &state, std::unique_lock<std::mutex> &lock) noexcept {
    if (state.failed() || state.applied) return;
    lock.unlock();
    attempt(state.result, [&] { runner_.commit(state.plan, state.plan.tokens, state.kept); });
    lock.lock();
    state.applied = true;
}

} // namespace ds4
