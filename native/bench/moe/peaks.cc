#include "moe/peaks.h"

#include <atomic>
#include <cmath>
#include <cstring>

#include "moe/turns.h"

namespace ds4::bench {
namespace {

constexpr double kStepSeconds = 0.02;
constexpr int kTurns = 7;
constexpr const PeakLoop *kLoops[] = {&kMaddubs, &kFma,      &kVnni,
                                      &kBf16Dot, &kTileBf16, &kTileBf16Fed};

// Operations a second of all workers together. The clock may depend on how many run.
double rate_of(const PeakLoop &loop, int threads, int parts, double seconds) {
    PoolRunner runner(threads, parts);
    uint64_t rounds = 1000;
    std::atomic<uint64_t> done{0};
    const auto step = [&](const ktb::Worker &) {
        done.fetch_add(uint64_t(loop.run(rounds)), std::memory_order_relaxed);
    };
    for (double spent = 0; spent < kStepSeconds; rounds *= 2)
        spent = seconds_of([&] { runner.run(step); });
    done = 0;
    const std::vector<Samples> samples =
        take_turns({{[&] { runner.run(step); }}}, {seconds, 5, 1, 0});
    return double(done.load()) / double(samples[0].seconds.size()) / samples[0].first_decile();
}

} // namespace

std::vector<Peak> measure_peaks(int threads, int parts, double seconds) {
    std::vector<Peak> peaks;
    for (const PeakLoop *loop : kLoops)
        if (loop->supported())
            peaks.push_back({loop->name, rate_of(*loop, 1, 1, seconds),
                             rate_of(*loop, threads, parts, seconds)});
    return peaks;
}

double share_beside(const char *loop_name, int threads, int parts, double flop,
                    const std::function<void()> &work) {
    const PeakLoop *loop = nullptr;
    for (const PeakLoop *one : kLoops)
        if (std::strcmp(one->name, loop_name) == 0 && one->supported()) loop = one;
    if (loop == nullptr) return NAN;
    PoolRunner runner(threads, parts);
    uint64_t rounds = 1000;
    std::atomic<uint64_t> done{0};
    const auto step = [&](const ktb::Worker &) {
        done.fetch_add(uint64_t(loop->run(rounds)), std::memory_order_relaxed);
    };
    const double wanted = seconds_of(work);
    for (double spent = seconds_of([&] { runner.run(step); }); spent < wanted / 2;
         spent = seconds_of([&] { runner.run(step); }))
        rounds *= 2;
    Samples shares;
    for (int turn = 0; turn < kTurns; turn++) {
        done = 0;
        const double loop_seconds = seconds_of([&] { runner.run(step); });
        shares.seconds.push_back(flop / seconds_of(work) / (double(done.load()) / loop_seconds));
    }
    return shares.median();
}

const char *peak_of(const std::string &kernels, const std::string &numerics, bool tiles) {
    const bool int8 = numerics == "int8";
    if (tiles) return kTileBf16.name;
    if (kernels == "avx512") return int8 ? kVnni.name : kBf16Dot.name;
    return int8 ? kMaddubs.name : kFma.name;
}

} // namespace ds4::bench
