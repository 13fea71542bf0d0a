// The first failure among the workers of a step, kept for the thread that goes on after it.
#pragma once
#include <atomic>
#include <mutex>
#include <new>
#include <string>

#include "pool/error.h"

namespace ds4::ktb {

class FirstFailure {
  public:
    bool any() const { return failed_.load(std::memory_order_relaxed); } // workers may stop early
    // Runs body on a worker; what it throws is kept. memory_text: what a bad_alloc means here.
    template <class Body> void collect(const char *memory_text, Body body) noexcept {
        try {
            body();
        } catch (const Error &error) {
            keep(error.code(), error.what());
        } catch (const std::bad_alloc &) {
            keep(KTB_ERR_MEMORY, memory_text);
        }
    }
    // After the step: throws what was kept.
    void rethrow() const {
        if (any()) fail(code_, "%s", text_.c_str());
    }

  private:
    void keep(int code, const char *text) {
        const std::lock_guard<std::mutex> lock(lock_);
        if (!failed_.exchange(true)) text_ = text, code_ = code;
    }
    std::atomic<bool> failed_{false};
    std::mutex lock_;
    int code_ = 0;
    std::string text_;
};

} // namespace ds4::ktb
