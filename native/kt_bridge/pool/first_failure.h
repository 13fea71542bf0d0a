// The first failure among the workers of a step, kept for the thread that goes on after it.
#pragma once
#include <atomic>
#include <cstdio>
#include <mutex>
#include <new>

#include "pool/expert_error.h"

namespace ds4::ktb {

class FirstFailure {
  public:
    bool any() const { return failed_.load(std::memory_order_relaxed); } // workers may stop early
    // Runs body on a worker; what it throws is kept. memory_text: what a bad_alloc means here.
    template <class Body> void collect(const char *memory_text, Body body) noexcept {
        try {
            body();
        } catch (const ExpertError &error) {
            keep(error.code(), error.what());
        } catch (const std::bad_alloc &) {
            keep(KTB_ERR_MEMORY, memory_text);
        }
    }
    // After the step: throws what was kept.
    void rethrow() const {
        if (any()) fail(code_, "%s", text_);
    }

  private:
    void keep(int code, const char *text) {
        const std::lock_guard<std::mutex> lock(lock_);
        if (failed_.exchange(true)) return;
        code_ = code;
        std::snprintf(text_, sizeof text_, "%s", text);
    }
    std::atomic<bool> failed_{false};
    std::mutex lock_;
    int code_ = 0;
    char text_[1024] =
        {}; // as long as `fail` makes them; a place of its own, for memory may be what is missing
};

} // namespace ds4::ktb
