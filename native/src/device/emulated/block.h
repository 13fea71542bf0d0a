// Runs the blocks of a kernel on one host thread. Each thread of a block, or of a cluster of
// blocks, is a fiber; barriers and exchanges of a warp switch between them. The order of threads
// and blocks turns from launch to launch, and memory starts as NaN. So a missing barrier or an
// unwritten value shows in a result.
#pragma once
#include <cstdint>
#include <cstring>
#include <functional>

#include "base/assert.h"

namespace ds4::device {
struct LaunchShape;
}

namespace ds4::device::emulated {

struct Index {
    unsigned x = 0, y = 0, z = 0;
};

// The thread that runs.
struct Thread {
    Index thread_index, block_index, block_dim, grid_dim;
    uint8_t *shared = nullptr; // of its block
    int rank = 0;              // of its block in the cluster
};
Thread &current();

// Runs a kernel's body in every thread of every block. Errors: a body that throws ends the launch
// with its exception; a barrier that some threads never reach is a failed assertion.
void run_blocks(const LaunchShape &shape, const std::function<void()> &body);
// Launches so far; every other one runs backwards.
uint64_t launches();

void block_barrier();
void cluster_barrier();
void warp_barrier();
// Shared memory of another block of the cluster.
uint8_t *shared_of(int rank);

// Where a lane leaves a value for the others of its warp. Two sides take turns, so that one barrier
// an exchange is enough.
constexpr int kSlotBytes = 64;
uint8_t *slot(int lane);
void turn_slots();

// The value that lane `source` brought. Every lane of the warp calls it.
template <typename T> T exchange(unsigned mask, T value, int source) {
    static_assert(sizeof(T) <= kSlotBytes);
    DS4_ASSERT(mask == 0xffffffffu);
    std::memcpy(slot(int(current().thread_index.x & 31u)), &value, sizeof value);
    warp_barrier();
    std::memcpy(&value, slot(source), sizeof value);
    turn_slots();
    return value;
}

// combine(combine(start, value of lane 0, 0), value of lane 1, 1) and so on.
template <typename T, typename Combine>
T gather(unsigned mask, T value, T start, const Combine &combine) {
    static_assert(sizeof(T) <= kSlotBytes);
    DS4_ASSERT(mask == 0xffffffffu);
    std::memcpy(slot(int(current().thread_index.x & 31u)), &value, sizeof value);
    warp_barrier();
    T sum = start;
    for (int lane = 0; lane < 32; lane++) {
        std::memcpy(&value, slot(lane), sizeof value);
        sum = combine(sum, value, lane);
    }
    turn_slots();
    return sum;
}

} // namespace ds4::device::emulated
