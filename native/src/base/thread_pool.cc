#include "base/thread_pool.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/allowed_cpus.h"
#include "base/assert.h"
#include "base/blocked_signals.h"
#include "base/fail.h"
#include "ds4.h"

namespace ds4 {
namespace {

using Clock = std::chrono::steady_clock;

inline void pause_cpu() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    std::this_thread::yield();
#endif
}

// Time to poll before sleeping. Regions of one step are some microseconds apart, and steps tens of
// them, so decoding rarely sleeps. Where every core has a worker, polling for longer would take
// time from them.
std::chrono::microseconds spin_time(int threads) {
    const int cpus = int(allowed_cpus().size());
    if (threads > cpus) return std::chrono::microseconds(0);
    return std::chrono::microseconds(threads == cpus || cpus <= 4 ? 60 : 1000);
}

// Polls, then sleeps, until `word` differs from `old`. Returns its new value.
uint32_t await_change(const std::atomic<uint32_t> &word, uint32_t old,
                      std::chrono::microseconds spin) {
    if (spin.count() > 0) {
        const Clock::time_point end = Clock::now() + spin;
        do {
            for (int i = 0; i < 64; i++) {
                const uint32_t value = word.load(std::memory_order_acquire);
                if (value != old) return value;
                pause_cpu();
            }
        } while (Clock::now() < end);
    }
    for (;;) {
        const uint32_t value = word.load(std::memory_order_acquire);
        if (value != old) return value;
        word.wait(old, std::memory_order_acquire);
    }
}

} // namespace

struct ThreadPool::State {
    int threads = 1;
    std::atomic<uint64_t> regions{0};
    std::chrono::microseconds spin{0};
    const RegionFunction *function = nullptr; // of the region that `generation` started
    alignas(64) std::atomic<uint32_t> generation{0};
    // Workers still in the region, the caller not counted.
    alignas(64) std::atomic<uint32_t> remaining{0};
    alignas(64) std::atomic<bool> stopping{false};
    std::atomic<bool> running{false};
    std::mutex error_mutex;
    std::exception_ptr error;
    std::vector<std::thread> workers;

    void call(int worker) noexcept {
        try {
            (*function)(worker, threads);
        } catch (...) {
            const std::lock_guard<std::mutex> lock(error_mutex);
            if (error == nullptr) error = std::current_exception();
        }
    }

    void work(int worker) {
        uint32_t seen = 0;
        for (;;) {
            seen = await_change(generation, seen, spin);
            if (stopping.load(std::memory_order_acquire)) return;
            call(worker);
            if (remaining.fetch_sub(1, std::memory_order_acq_rel) == 1) remaining.notify_one();
        }
    }

    void stop() {
        stopping.store(true, std::memory_order_release);
        generation.fetch_add(1, std::memory_order_acq_rel);
        generation.notify_all();
        for (std::thread &thread : workers) thread.join();
        workers.clear();
    }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
    if (threads < 1)
        fail(DS4_ERR_ARGUMENT, "a thread pool needs at least 1 thread, got %d", threads);
    state_->threads = threads;
    state_->spin = spin_time(threads);
    const BlockedSignals blocked;
    try {
        for (int worker = 1; worker < threads; worker++)
            state_->workers.emplace_back([state = state_.get(), worker] { state->work(worker); });
    } catch (...) {
        state_->stop();
        throw;
    }
}

ThreadPool::~ThreadPool() { state_->stop(); }

int ThreadPool::threads() const { return state_->threads; }
uint64_t ThreadPool::regions() const { return state_->regions.load(std::memory_order_relaxed); }

namespace {

thread_local Interlude *interlude = nullptr;

} // namespace

Interlude::Scope::Scope(Interlude *inside) : before_(std::exchange(interlude, inside)) {}

Interlude::Scope::~Scope() { interlude = before_; }

void Interlude::run() {
    if (interlude != nullptr) interlude->between_regions();
}

void ThreadPool::run(const RegionFunction &function) {
    Interlude::run();
    State &state = *state_;
    state.regions.fetch_add(1, std::memory_order_relaxed);
    if (state.threads == 1) {
        function(0, 1);
        return;
    }
    DS4_ASSERT(!state.running.exchange(true, std::memory_order_acquire));
    state.function = &function;
    state.error = nullptr;
    state.remaining.store(uint32_t(state.threads - 1), std::memory_order_relaxed);
    state.generation.fetch_add(1, std::memory_order_acq_rel);
    state.generation.notify_all();
    state.call(0);
    uint32_t left = state.remaining.load(std::memory_order_acquire);
    while (left != 0) left = await_change(state.remaining, left, state.spin);
    const std::exception_ptr error = std::exchange(state.error, nullptr);
    state.running.store(false, std::memory_order_release);
    if (error != nullptr) std::rethrow_exception(error);
}

WorkRange share(int64_t count, int worker, int workers, int64_t step) {
    const int64_t steps = (count + step - 1) / step;
    const int64_t each = steps / workers, extra = steps % workers;
    const int64_t begin = each * worker + (worker < extra ? worker : extra);
    const int64_t end = begin + each + (worker < extra ? 1 : 0);
    return {begin * step < count ? begin * step : count, end * step < count ? end * step : count};
}

} // namespace ds4
