// A model for the scheduler's tests: the token after t is t + 1, and a session is the list of its
// tokens. Test code.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "base/fail.h"
#include "core/scheduler/executor.h"
#include "ds4.h"

namespace ds4::test {

struct FakeSession {
    std::vector<int32_t> tokens;
    uint32_t capacity = 1000;
    bool fails = false;
    CancelSource cancel;
    bool claimed = false;
    ds4_session *handle() { return reinterpret_cast<ds4_session *>(this); }
    static FakeSession *of(const ds4_session *session) {
        return const_cast<FakeSession *>(reinterpret_cast<const FakeSession *>(session));
    }
};

class FakeExecutor : public Executor {
  public:
    static constexpr uint32_t kVocab = 64;

    void step(std::span<const StepItem> items, float *logits) override {
        attempts++;
        wait_for_gate();
        if (step_time.count() > 0) sleep(items);
        if (std::all_of(items.begin(), items.end(),
                        [](const StepItem &item) { return item.cancel.cancelled(); }))
            fail(DS4_ERR_CANCELLED, "cancelled");
        std::vector<uint32_t> sizes;
        for (const StepItem &item : items) {
            const FakeSession *session = FakeSession::of(item.session);
            if (session->fails) fail(DS4_ERR_DEVICE, "the fake device is broken");
            if (session->tokens.size() + item.count > session->capacity)
                fail(DS4_ERR_CONTEXT_FULL, "full");
            sizes.push_back(item.count);
        }
        for (const StepItem &item : items) {
            std::vector<int32_t> &tokens = FakeSession::of(item.session)->tokens;
            tokens.insert(tokens.end(), item.tokens, item.tokens + item.count);
            if (item.logits == DS4_LOGITS_NONE) continue;
            for (uint32_t id = 0; id < kVocab; id++)
                logits[id] = id == uint32_t(tokens.back() + 1) % kVocab ? 4.0f : 0.0f;
            logits += claimed_vocab;
        }
        steps.push_back(sizes);
    }
    uint32_t vocab() const override { return claimed_vocab; }
    uint32_t max_step_tokens() const override { return budget; }
    uint32_t position(const ds4_session *session) const override {
        return uint32_t(FakeSession::of(session)->tokens.size());
    }
    uint32_t capacity(const ds4_session *session) const override {
        return FakeSession::of(session)->capacity;
    }
    void claim(ds4_session *session) override { FakeSession::of(session)->claimed = true; }
    void release_claim(ds4_session *session) noexcept override {
        FakeSession::of(session)->claimed = false;
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
    // Lets the step that waits go on; the next one waits again.
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

    uint32_t budget = 512;
    uint32_t claimed_vocab = kVocab; // logits beyond kVocab stay unwritten
    std::chrono::microseconds step_time{0};
    std::atomic<int> attempts{0};             // steps begun, failed ones included
    std::vector<std::vector<uint32_t>> steps; // counts of each step; read it when no job runs

  private:
    void wait_for_gate() {
        std::unique_lock lock(mutex_);
        has_begun_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return open_ || passes_ > 0; });
        if (!open_) passes_--;
    }
    void sleep(std::span<const StepItem> items) const {
        const auto end = std::chrono::steady_clock::now() + step_time;
        while (std::chrono::steady_clock::now() < end) {
            if (items.size() == 1 && items[0].cancel.cancelled()) return;
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = true, has_begun_ = false;
    int passes_ = 0;
};

} // namespace ds4::test
