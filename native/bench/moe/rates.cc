// Limits of this machine: the stream of all threads, and the peaks of the instructions that the
// kernels use.
#include "moe/suites.h"

namespace ds4::bench {

double Bench::peak(const std::string &name) const {
    for (const Peak &peak : peaks)
        if (peak.name == name) return peak.all;
    return 0;
}

void measure_rates(Bench &bench) {
    const Settings &settings = bench.settings;
    bench.memory.choose_ahead(settings.threads, settings.parts, settings.seconds / 4);
    bench.stream = Reader(bench.memory, settings.threads, settings.parts).stream(settings.seconds);
    bench.report.row("rates",
                     {{"rate", "stream"},
                      {"prefetch_bytes", double(bench.memory.ahead)},
                      {"unit", "GB/s"},
                      {"one_thread", Reader(bench.memory, 1, 1).stream(settings.seconds) / 1e9},
                      {"all_threads", bench.stream / 1e9}});
    bench.peaks = measure_peaks(settings.threads, settings.parts, settings.seconds / 4);
    for (const Peak &peak : bench.peaks)
        bench.report.row("rates", {{"rate", peak.name},
                                   {"unit", "GFLOP/s"},
                                   {"one_thread", peak.one_core / 1e9},
                                   {"all_threads", peak.all / 1e9}});
}

} // namespace ds4::bench
