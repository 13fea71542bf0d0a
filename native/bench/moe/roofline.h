// The least time that a machine can need for a piece of work, from rates measured on it.
#pragma once
#include <algorithm>

namespace ds4::bench {

struct Work {
    double bytes; // from memory
    double flop;
};

struct Machine {
    double bytes_per_second; // streaming read of all threads
    double flop_per_second;  // of the instruction that does the work, on all threads
};

struct Limit {
    double seconds;
    bool is_memory; // else arithmetic
};

inline Limit limit_of(const Work &work, const Machine &machine) {
    const double memory = work.bytes / machine.bytes_per_second,
                 compute = work.flop / machine.flop_per_second;
    return {std::max(memory, compute), memory >= compute};
}

// Parts of a call's time, as far as they are known. Memory and arithmetic overlap; the hand-off
// does not.
struct Parts {
    double memory, compute, hand_off; // seconds
};

inline const char *bound_of(const Parts &parts) {
    if (parts.hand_off > std::max(parts.memory, parts.compute)) return "hand-off";
    return parts.memory >= parts.compute ? "memory" : "compute";
}

} // namespace ds4::bench
