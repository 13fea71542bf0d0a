// A model for the scheduler's tests: the token after t is t + 1, and a session is the list of its
// tokens. Steps run on the lanes that a CPU backend uses. Test code.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "backend/backend.h"
#include "backend/step_lane.h"
#include "base/fail.h"
#include "core/scheduler/executor.h"
#include "ds4.h"
#include "sampling/sampler.h"

namespace ds4::test {

struct FakeSession : SequenceState {
    std::vector<int32_t> tokens;
    uint32_t limit = 1000;
    bool fails = false;
    CancelSource cancel;
    std::atomic<bool> claimed{false}, stays_busy{false};

    ds4_session *handle() { return reinterpret_cast<ds4_session *>(this); }
    static FakeSession *of(const ds4_session *session) {
        return const_cast<FakeSession *>(reinterpret_cast<const FakeSession *>(session));
    }
    uint32_t position() const override { return uint32_t(tokens.size()); }
    uint32_t capacity() const override { return limit; }
    uint64_t bytes() const override { return 0; }
    uint64_t snapshot_bytes() const override { return 0; }
    uint32_t max_partial_step() const override { return 8; }
    void reset() override { tokens.clear(); }
    std::shared_ptr<const Mark> mark() override { return nullptr; }
    void resume(const Mark &) override {}
    void cut(const Mark &) override {}
};

class FakeExecutor : public Executor {
  public:
    static constexpr uint32_t kVocab = 64;

    std::unique_ptr<Step> submit(Lane lane, std::span<const StepItem> items,
                                 StepListener &listener) override {
        StepPlan plan;
        for (const StepItem &item : items) {
            FakeSession *session = FakeSession::of(item.session);
            plan.sequences.push_back(
                {session, item.count, item.follows, item.logits, item.samples, item.cancel});
            if (item.follows >= 0)
                plan.tokens.push_back(-1);
            else
                plan.tokens.insert(plan.tokens.end(), item.tokens, item.tokens + item.count);
        }
        plan.listener = &listener;
        return (lane == Lane::decode ? decode_ : prefill_).lane.submit(std::move(plan));
    }
    uint32_t vocab() const override { return claimed_vocab; }
    uint32_t max_step_tokens() const override { return budget; }
    uint32_t position(const ds4_session *session) const override {
        return FakeSession::of(session)->position();
    }
    uint32_t capacity(const ds4_session *session) const override {
        return FakeSession::of(session)->limit;
    }
    void claim(ds4_session *session) override { FakeSession::of(session)->claimed = true; }
    void release_claim(ds4_session *session) noexcept override {
        FakeSession::of(session)->claimed = false;
    }
    bool may_step(ds4_session *session, StepListener &) noexcept override {
        return !FakeSession::of(session)->stays_busy;
    }
    void end_planning() noexcept override {}
    std::shared_ptr<const Mark> mark(ds4_session *session) noexcept override {
        marked.push_back(FakeSession::of(session)->position());
        return nullptr;
    }
    CancelWatch watch(const ds4_session *session) const override {
        return FakeSession::of(session)->cancel.watch();
    }
    void cancel(ds4_session *session) override { FakeSession::of(session)->cancel.request(); }

    // While the gate is closed, steps wait at their start. Jobs started meanwhile are planned
    // together.
    void gate(bool open) {
        std::lock_guard lock(mutex_);
        open_ = open;
        changed_.notify_all();
    }
    // Lets a step that waits go on; the next one waits again.
    void let_one_pass() {
        std::lock_guard lock(mutex_);
        passes_++;
        changed_.notify_all();
    }
    // Blocks until the first step has begun.
    void wait_until_in_step() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return has_begun_; });
    }
    // Counts of the lane's steps that were evaluated, dropped ones included. Read them when no job
    // runs.
    std::vector<std::vector<uint32_t>> &steps(Lane lane = Lane::decode) {
        return (lane == Lane::decode ? decode_ : prefill_).steps;
    }

    std::vector<uint32_t> marked; // positions, as they were asked for; read it as steps()
    uint32_t budget = 512;
    uint32_t claimed_vocab = kVocab; // logits beyond kVocab are -8
    std::chrono::microseconds step_time{0}, prompt_token_time{0};
    std::atomic<int> attempts{0}; // steps begun, failed ones included

  private:
    struct FakeLane : StepRunner {
        explicit FakeLane(FakeExecutor &executor) : executor(executor) {}

        uint64_t evaluate(const StepPlan &plan, std::span<const int32_t> tokens,
                          const StepInterest &interest) override {
            executor.attempts++;
            executor.wait_for_gate();
            const auto time = executor.step_time + executor.prompt_token_time * tokens.size();
            if (time.count() > 0) sleep(time, interest);
            if (interest.is_cancelled()) fail(DS4_ERR_CANCELLED, "cancelled");
            std::vector<uint32_t> sizes;
            last.clear();
            size_t end = 0;
            for (const StepSequence &sequence : plan.sequences) {
                const auto *session = static_cast<const FakeSession *>(sequence.state);
                if (session->fails) fail(DS4_ERR_DEVICE, "the fake device is broken");
                if (session->tokens.size() + sequence.count > session->limit)
                    fail(DS4_ERR_CONTEXT_FULL, "full");
                sizes.push_back(sequence.count);
                end += sequence.count;
                if (sequence.samples) last.push_back(tokens[end - 1]);
            }
            logits.assign(last.empty() ? 0 : executor.claimed_vocab, -8.0f);
            steps.push_back(sizes);
            return uint64_t(time.count());
        }
        void sample(std::span<const SamplingControl> records,
                    std::span<ds4_job_token> out) override {
            for (size_t i = 0; i < records.size(); i++) {
                for (uint32_t id = 0; id < kVocab; id++)
                    logits[id] = id == uint32_t(last[i] + 1) % kVocab ? 4.0f : 0.0f;
                out[i].id = -1;
                if (records[i].samples) out[i] = sampler.sample(logits, records[i]);
            }
        }
        void commit(const StepPlan &plan, std::span<const int32_t> tokens,
                    std::span<const uint32_t> kept) override {
            size_t first = 0;
            for (size_t i = 0; i < kept.size(); i++) {
                auto *session = static_cast<FakeSession *>(plan.sequences[i].state);
                const int32_t *begin = tokens.data() + first;
                session->tokens.insert(session->tokens.end(), begin, begin + kept[i]);
                first += plan.sequences[i].count;
            }
        }
        static void sleep(std::chrono::microseconds time, const StepInterest &interest) {
            const auto end = std::chrono::steady_clock::now() + time;
            while (std::chrono::steady_clock::now() < end && !interest.is_cancelled())
                std::this_thread::sleep_for(std::chrono::microseconds(200));
        }

        FakeExecutor &executor;
        std::vector<std::vector<uint32_t>> steps;
        std::vector<int32_t> last; // tokens that sampled rows come after
        std::vector<float> logits;
        Sampler sampler;
        StepLane lane{*this};
    };

    void wait_for_gate() {
        std::unique_lock lock(mutex_);
        has_begun_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return open_ || passes_ > 0; });
        if (!open_) passes_--;
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = true, has_begun_ = false;
    int passes_ = 0;
    FakeLane decode_{*this}, prefill_{*this};
};

} // namespace ds4::test
