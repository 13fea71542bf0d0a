// How far the opening of an engine is, in the memory that its caller watches.
#pragma once
#include <atomic>
#include <cstdint>

#include "ds4.h"

namespace ds4 {

// Threads: any. Bytes are those of weights as the model stores them.
class LoadProgress {
  public:
    // watched: the caller's, for as long as this object lives. Null: nobody watches.
    explicit LoadProgress(ds4_load_progress *watched = nullptr) : watched_(watched) {
        if (watched == nullptr) return;
        done().store(0, std::memory_order_relaxed);
        total().store(0, std::memory_order_relaxed);
    }
    bool is_watched() const { return watched_ != nullptr; }
    bool is_cancelled() const {
        return watched_ != nullptr &&
               std::atomic_ref<uint32_t>(watched_->cancel).load(std::memory_order_relaxed) != 0;
    }
    // Bytes that are to be packed, or not after all, join or leave the total.
    void expect(uint64_t bytes) const {
        if (watched_ != nullptr) total().fetch_add(bytes, std::memory_order_relaxed);
    }
    void forgo(uint64_t bytes) const {
        if (watched_ != nullptr) total().fetch_sub(bytes, std::memory_order_relaxed);
    }
    void add(uint64_t bytes) const {
        if (watched_ != nullptr) done().fetch_add(bytes, std::memory_order_relaxed);
    }
    void reach(uint64_t bytes) const {
        if (watched_ != nullptr) done().store(bytes, std::memory_order_relaxed);
    }

  private:
    std::atomic_ref<uint64_t> done() const {
        return std::atomic_ref<uint64_t>(watched_->done_bytes);
    }
    std::atomic_ref<uint64_t> total() const {
        return std::atomic_ref<uint64_t>(watched_->total_bytes);
    }
    ds4_load_progress *watched_;
};

} // namespace ds4
