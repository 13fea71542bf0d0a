// What one core's instructions can do from registers: the ceilings of the kernels' arithmetic,
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
extern const PeakLoop kTileBf16,
    kTileBf16Fed; // peaks_amx.cc; fed: what is left when operands come from L1

struct Peak {
    std::string name;
    double one_core; // operations a second of one thread
    double all;      // of all threads at once, together
};

// Loops that this CPU has, on one thread and on all.
std::vector<Peak> measure_peaks(int threads, int parts, double seconds);

// What operations of `work`, `flop` of them, reach of a loop's rate on as many threads: the median
// of turns in which both take about as long, for a processor's clock follows what it did in the
// last milliseconds. NaN where this CPU lacks the loop.
double share_beside(const char *loop, int threads, int parts, double flop,
                    const std::function<void()> &work);

// The loop whose instruction does the arithmetic of a kernel table, by the names that the library
// reports, or of its matrix tiles.
const char *peak_of(const std::string &kernels, const std::string &numerics, bool tiles);

} // namespace ds4::bench
