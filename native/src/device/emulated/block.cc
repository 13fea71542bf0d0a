#include "device/emulated/block.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "device/emulated/fiber.h"
#include "device/launch.h"

namespace ds4::device::emulated {
namespace {

enum class Wait : uint8_t { none, warp, block, cluster, ended };

struct FiberThread : Thread {
    Fiber fiber;
    Wait wait = Wait::none;
    int warp = 0; // in the group
};

struct Slots {
    uint8_t bytes[2][32][kSlotBytes];
};

// The blocks of one cluster, which run together.
class Group {
  public:
    void run(const LaunchShape &shape, int64_t first_block, int block_y, bool backwards,
             const std::function<void()> &body);

    FiberThread *running = nullptr;
    std::vector<Slots> slots;   // a warp
    std::vector<uint8_t> sides; // a thread: the side of its next exchange
    std::vector<std::vector<uint8_t>> shared;
    int block_threads = 0;

    void wait(Wait kind) {
        running->wait = kind;
        running->fiber.leave();
    }
    int index_of(const FiberThread &thread) const {
        return thread.rank * block_threads + int(thread.thread_index.x);
    }

  private:
    void prepare(const LaunchShape &shape, int64_t first_block, int block_y);
    bool release(Wait kind, int first, int end);
    bool release_all();
    static void enter_body(void *thread);

    std::vector<std::unique_ptr<FiberThread>> threads_;
    int count_ = 0;
    const std::function<void()> *body_ = nullptr;
    std::exception_ptr error_;
};

thread_local Group group;
thread_local uint64_t launched = 0;

void Group::enter_body(void *thread) {
    auto *self = static_cast<FiberThread *>(thread);
    try {
        (*group.body_)();
    } catch (...) {
        if (group.error_ == nullptr) group.error_ = std::current_exception();
    }
    self->wait = Wait::ended;
    self->fiber.leave();
}

void Group::prepare(const LaunchShape &shape, int64_t first_block, int block_y) {
    block_threads = shape.threads;
    count_ = shape.threads * shape.cluster;
    while (threads_.size() < size_t(count_)) threads_.push_back(std::make_unique<FiberThread>());
    slots.resize(size_t(count_ / 32));
    sides.assign(size_t(count_), 0);
    shared.resize(size_t(shape.cluster));
    for (std::vector<uint8_t> &memory : shared)
        memory.assign(size_t(shape.shared_bytes) + 128, 0xff);
    for (int i = 0; i < count_; i++) {
        FiberThread &thread = *threads_[size_t(i)];
        thread.rank = i / shape.threads;
        thread.warp = i / 32;
        thread.thread_index = {unsigned(i % shape.threads), 0, 0};
        thread.block_index = {unsigned(first_block + thread.rank), unsigned(block_y), 0};
        thread.block_dim = {unsigned(shape.threads), 1, 1};
        thread.grid_dim = {unsigned(shape.blocks), unsigned(shape.blocks_y), 1};
        uint8_t *memory = shared[size_t(thread.rank)].data();
        thread.shared = memory + (128 - reinterpret_cast<uintptr_t>(memory) % 128) % 128;
        thread.wait = Wait::none;
        thread.fiber.prepare(enter_body, &thread);
    }
}

// Lets threads first..end-1 go on if all that have not ended wait for each other.
bool Group::release(Wait kind, int first, int end) {
    bool some = false;
    for (int i = first; i < end; i++) {
        const Wait wait = threads_[size_t(i)]->wait;
        if (wait == Wait::ended) continue;
        if (wait != kind) return false;
        some = true;
    }
    for (int i = first; some && i < end; i++)
        if (threads_[size_t(i)]->wait == kind) threads_[size_t(i)]->wait = Wait::none;
    return some;
}

bool Group::release_all() {
    bool some = false;
    for (int i = 0; i < count_; i += 32) some = release(Wait::warp, i, i + 32) || some;
    for (int i = 0; i < count_; i += block_threads)
        some = release(Wait::block, i, i + block_threads) || some;
    return release(Wait::cluster, 0, count_) || some;
}

void Group::run(const LaunchShape &shape, int64_t first_block, int block_y, bool backwards,
                const std::function<void()> &body) {
    DS4_ASSERT(running == nullptr); // a kernel starts no kernel
    prepare(shape, first_block, block_y);
    body_ = &body;
    for (;;) {
        bool some = false;
        for (int at = 0; at < count_; at++) {
            FiberThread &thread = *threads_[size_t(backwards ? count_ - 1 - at : at)];
            while (thread.wait == Wait::none) {
                some = true;
                running = &thread;
                thread.fiber.enter();
                // the last of a warp to arrive lets the warp go on
                const int first = thread.warp * 32;
                if (thread.wait == Wait::warp) release(Wait::warp, first, first + 32);
                if (thread.wait == Wait::none) break; // the others of its warp come first
            }
        }
        running = nullptr;
        if (release_all() || some) continue;
        for (int i = 0; i < count_; i++)
            DS4_ASSERT(threads_[size_t(i)]->wait == Wait::ended); // a barrier that some never reach
        break;
    }
    if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
}

} // namespace

Thread &current() { return *group.running; }
uint64_t launches() { return launched; }

void block_barrier() { group.wait(Wait::block); }
void cluster_barrier() { group.wait(Wait::cluster); }
void warp_barrier() { group.wait(Wait::warp); }

uint8_t *shared_of(int rank) {
    uint8_t *memory = group.shared[size_t(rank)].data();
    return memory + (128 - reinterpret_cast<uintptr_t>(memory) % 128) % 128;
}

uint8_t *slot(int lane) {
    const FiberThread &self = *group.running;
    return group.slots[size_t(self.warp)].bytes[group.sides[size_t(group.index_of(self))]][lane];
}

void turn_slots() { group.sides[size_t(group.index_of(*group.running))] ^= 1; }

void run_blocks(const LaunchShape &shape, const std::function<void()> &body) {
    DS4_ASSERT(shape.threads > 0 && shape.threads % 32 == 0 && shape.threads <= 1024);
    DS4_ASSERT(shape.cluster >= 1 && shape.blocks % shape.cluster == 0);
    const bool backwards = launched++ % 2 == 1;
    const int64_t clusters = shape.blocks / shape.cluster, all = clusters * shape.blocks_y;
    for (int64_t i = 0; i < all; i++) {
        const int64_t at = backwards ? all - 1 - i : i;
        group.run(shape, at % clusters * shape.cluster, int(at / clusters), backwards, body);
    }
}

} // namespace ds4::device::emulated
