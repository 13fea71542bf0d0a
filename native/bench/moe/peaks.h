// Peak rates of one core's instructions on registers, which bound the kernels' arithmetic. They are
// measured, not looked up.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "moe/pool_runner.h"

namespace ds4::bench {

struct PeakLoop {
    const char *name;
    bool (*supported)();
    double (*run)(uint64_t rounds); // returns the operations done, two per multiply-add
};

extern const PeakLoop kMaddubs, kFma; // peaks_avx2.cc
extern const PeakLoop kVnni;          // peaks_avx512.cc
extern const PeakLoop kBf16Dot;       // peaks_avx512bf16.cc
// peaks_amx.cc; kTileBf16Fed also loads its operands from L1.
extern const PeakLoop kTileBf16, kTileBf16Fed;

struct Peak {
    std::string name;
    double one_core; // operations a second of one thread
    double all;      // operations a second of all threads together
};

// Rates of the loops that this CPU has, on one thread and on all.
std::vector<Peak> measure_peaks(int threads, int parts, double seconds);

// Share of a loop's rate that `work`, of `flop` operations, reaches on as many threads. It is the
// median of turns in which both take about as long, because the clock follows the work of the last
// milliseconds. NaN where this CPU lacks the loop.
double share_beside(const char *loop, int threads, int parts, double flop,
                    const std::function<void()> &work);

// Name of the loop whose instruction does the arithmetic of a kernel table, or of its matrix tiles.
// Tables have the names that the library reports.
const char *peak_of(const std::string &kernels, const std::string &numerics, bool tiles);

} // namespace ds4::bench
