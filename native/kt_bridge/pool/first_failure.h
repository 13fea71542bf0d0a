// The first failure among the workers of a step, kept for the thread that goes on after the step.
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
    // Runs body on a worker and keeps the exception. memory_text: the message for std::bad_alloc.
    template <class Body> void collect(const char *memory_text, Body body) noexcept {
        try {
            body();
        } catch (const ExpertError &error) {
            keep(error.code(), error.what());
        } catch (const std::bad_alloc &) {
            keep(KTB_ERR_MEMORY, memory_text);
        }
    }
    // Throws the kept failure, after the step.
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
    // As long as the texts of `fail`. It is part of the object, because memory may be what is
    // missing.
    char text_[1024] = {};
};

} // namespace ds4::ktb
