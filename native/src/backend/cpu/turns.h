// Lets the two lanes of a backend compute in turns where they use the same cores. A step of the
// prefill lane gives way between parallel regions, so a decode step need not wait for its end. The
// time is shared evenly: after a step of the decode lane the other lane goes on for as
// long as that took.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "backend/step.h"

namespace ds4::cpu {

class Turns {
  public:
    using Clock = std::chrono::steady_clock;

    // Blocks until the lane may compute.
    void take(Lane lane);
    void give_back(Lane lane) noexcept;
    // Called by the prefill lane while it has the turn. If the decode lane waits and is due, it
    // gets the turn first. Returns the time spent away.
    Clock::duration give_way();

  private:
    bool decode_is_due() const { return Clock::now() >= due_; }
    void wait_for_decode(std::unique_lock<std::mutex> &lock);
    void wait_for_prefill(std::unique_lock<std::mutex> &lock);

    std::mutex mutex_;
    std::condition_variable changed_;
    bool taken_ = false, prefill_waits_ = false;
    std::atomic<bool> decode_waits_{false}; // read without the mutex by give_way
    Clock::time_point decode_began_{}, due_{};
};

} // namespace ds4::cpu
