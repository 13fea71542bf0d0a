#include "backend/cpu/turns.h"

namespace ds4::cpu {

void Turns::wait_for_decode(std::unique_lock<std::mutex> &lock) {
    decode_waits_ = true;
    while (taken_ || (prefill_waits_ && !decode_is_due())) {
        if (taken_)
            changed_.wait(lock);
        else
            changed_.wait_until(lock, due_); // time alone can make it due
    }
    decode_waits_ = false;
    decode_began_ = Clock::now();
}

void Turns::wait_for_prefill(std::unique_lock<std::mutex> &lock) {
    prefill_waits_ = true;
    changed_.wait(lock, [&] { return !taken_ && (!decode_waits_ || !decode_is_due()); });
    prefill_waits_ = false;
}

void Turns::take(Lane lane) {
    std::unique_lock lock(mutex_);
    if (lane == Lane::decode)
        wait_for_decode(lock);
    else
        wait_for_prefill(lock);
    taken_ = true;
}

void Turns::give_back(Lane lane) noexcept {
    {
        const std::lock_guard lock(mutex_);
        taken_ = false;
        if (lane == Lane::decode) {
            const Clock::time_point now = Clock::now();
            due_ = now + (now - decode_began_);
        }
    }
    changed_.notify_all();
}

Turns::Clock::duration Turns::give_way() {
    if (!decode_waits_.load(std::memory_order_relaxed)) return {}; // it is asked very often
    std::unique_lock lock(mutex_);
    if (!decode_waits_ || !decode_is_due()) return {};
    const Clock::time_point begin = Clock::now();
    taken_ = false;
    changed_.notify_all();
    wait_for_prefill(lock);
    taken_ = true;
    return Clock::now() - begin;
}

} // namespace ds4::cpu
