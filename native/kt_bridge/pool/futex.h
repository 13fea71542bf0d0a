// Waiting on a 32-bit word: spin first, then sleep in the kernel.
#pragma once
#include <atomic>
#include <cstdint>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ds4::ktb {

inline void cpu_pause() { __builtin_ia32_pause(); }

// Returns when the word may have changed, or after timeout (nullptr: never).
inline void futex_wait(const std::atomic<uint32_t> &word, uint32_t seen, const timespec *timeout) {
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, timeout, nullptr, 0);
}
inline void futex_wake_all(const std::atomic<uint32_t> &word) {
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
}

// A word that one side advances and others wait for. `sleepers` tells the writer whether a wake is
// needed. Both sides use sequentially consistent operations. So either the writer sees the sleeper,
// or the sleeper sees the new value.
class alignas(64) Signal {
  public:
    uint32_t value() const { return word_.load(std::memory_order_acquire); }
    void advance() {
        word_.fetch_add(1, std::memory_order_seq_cst);
        if (sleepers_.load(std::memory_order_seq_cst) != 0) futex_wake_all(word_);
    }
    // Waits until the value differs from `seen`: `spins` pauses, then sleep.
    uint32_t wait(uint32_t seen, uint32_t spins) {
        for (uint32_t i = 0; i < spins; i++) {
            const uint32_t now = value();
            if (now != seen) return now;
            cpu_pause();
        }
        sleep(seen, nullptr);
        return value();
    }
    // Sleeps while the value is `seen`; false when the timeout passed first.
    bool sleep(uint32_t seen, const timespec *timeout) {
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        bool changed = word_.load(std::memory_order_seq_cst) != seen;
        if (timeout == nullptr) {
            while (!changed) {
                futex_wait(word_, seen, nullptr);
                changed = word_.load(std::memory_order_seq_cst) != seen;
            }
        } else if (!changed) {
            futex_wait(word_, seen, timeout);
            changed = word_.load(std::memory_order_seq_cst) != seen;
        }
        sleepers_.fetch_sub(1, std::memory_order_relaxed);
        return changed;
    }

  private:
    std::atomic<uint32_t> word_{0};
    std::atomic<uint32_t> sleepers_{0};
};

// A reusable barrier: all members arrive before any leaves.
class alignas(64) Barrier {
  public:
    void reset(uint32_t members, uint32_t spins) { members_ = members, spins_ = spins; }
    uint32_t members() const { return members_; }
    void arrive() {
        const uint32_t round = turn_.value();
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members_) {
            arrived_.store(0, std::memory_order_relaxed);
            turn_.advance();
            return;
        }
        turn_.wait(round, spins_);
    }

  private:
    Signal turn_;
    alignas(64) std::atomic<uint32_t> arrived_{0};
    uint32_t members_ = 1;
    uint32_t spins_ = 0;
};

} // namespace ds4::ktb
