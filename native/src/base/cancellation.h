// Cancels that reach exactly one piece of work. A source counts requests; a watch is taken when the
// work is accepted, and later requests cancel it. Nothing is cleared, so no request is lost.
#pragma once
#include <atomic>
#include <cstdint>

namespace ds4 {

// May be copied; the source outlives it. A watch of no source is never cancelled.
class CancelWatch {
  public:
    CancelWatch() = default;
    explicit CancelWatch(const std::atomic<uint64_t> &requests)
        : requests_(&requests), seen_(requests.load(std::memory_order_relaxed)) {}
    bool cancelled() const {
        return requests_ != nullptr && requests_->load(std::memory_order_relaxed) != seen_;
    }

  private:
    const std::atomic<uint64_t> *requests_ = nullptr;
    uint64_t seen_ = 0;
};

class CancelSource {
  public:
    void request() { requests_.fetch_add(1, std::memory_order_relaxed); } // any thread
    CancelWatch watch() const { return CancelWatch(requests_); }

  private:
    std::atomic<uint64_t> requests_{0};
};

} // namespace ds4
