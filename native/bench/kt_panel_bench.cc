// Panel kernels on weights that stay in the caches of a core, by the number of tokens. It shows the
// loss between the peak of the arithmetic and a panel, without memory and the other work of a
// forward. Every share is of the peak loop that takes turns with the panel on the same threads.
// Usage: kt_panel_bench [SECONDS of each row, default 0.5 [THREADS, default 1 [ISA [NUMERICS]]]]
// build.ts does not build it: cmake --build native/build/ninja --target kt_panel_bench
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "experts/loading/packing.h"
#include "experts/forward/reference.h"
#include "kernels/tile_kernels.h"
#include "moe/peaks.h"
#include "moe/report.h"
#include "moe/turns.h"
#include "machine/cpu_model.h"
#include "machine/topology.h"
#include "machine/instruction_sets.h"

namespace {

using namespace ds4::bench;
using namespace ds4::ktb;
using ds4::Isa;
using ds4::isa_name;

constexpr int kGroups = 4096 / kGroup;
constexpr double kBurstSeconds =
    0.5e-3; // short, so that some bursts meet nothing else that runs on the core

uint8_t *aligned(std::vector<uint8_t> &bytes, size_t count) {
    bytes.resize(count + 64);
    return bytes.data() + (64 - reinterpret_cast<uintptr_t>(bytes.data()) % 64) % 64;
}

// Buffers of one worker: panels of 64 rows x 4096 inputs, as many as the tile kernels take at once,
// and places for kPanelTokens.
struct Panel {
    explicit Panel(const std::vector<CanonicalExpert> &expert) {
        TileRows rows;
        for (int row = 0; row < kTileRows; row++) {
            rows.codes[row] = expert[0].codes[0].data() + size_t(row) * kGroups * 16;
            rows.scales[row] = expert[0].scales[0].data() + size_t(row) * kGroups;
        }
        tiles = aligned(tile_bytes, kTilePanels * kPanelBytes);
        for (int panel = 0; panel < kTilePanels; panel++)
            pack_strip(Method::mxfp4, rows,
                       {0, kGroup, kGroups, tiles + panel * kPanelBytes, kTileBytes});
        scratch = aligned(scratch_bytes, std::max(kPanelScratchBytes, kTileScratchBytes));
        sums = reinterpret_cast<float *>(aligned(sum_bytes, kTileSumFloats * sizeof(float)));
    }
    static constexpr size_t kPanelBytes = kGroups * kTileBytes;
    std::vector<uint8_t> tile_bytes, scratch_bytes, sum_bytes, activation_bytes;
    uint8_t *tiles, *scratch, *activations = nullptr;
    float *sums;
};

struct Bench {
    Bench(int threads, double seconds)
        : seconds(seconds), runner(threads, 1),
          x(random_values(size_t(kPanelTokens) * kGroups * kGroup, 1.0f, 2)) {
        const std::vector<CanonicalExpert> expert =
            random_experts(1, kGroups * kGroup, kTileRows, 1);
        for (int i = 0; i < threads; i++) panels.emplace_back(expert);
    }
    double seconds;
    PoolRunner runner;
    std::vector<float> x;
    std::vector<Panel> panels;
};

// Runs bursts of `body` on all workers in turns with bursts of `other`. Gives the best seconds of a
// body, and the median of the ratio of neighbouring bursts. Other users of the machine change that
// ratio least.
struct Pair {
    double body, ratio;
};
template <typename Body, typename Other>
Pair compare(Bench &bench, const Body &body, const Other &other) {
    const auto burst = [&](const auto &work, size_t times) {
        return seconds_of([&] {
                   bench.runner.run([&](const Worker &worker) {
                       for (size_t i = 0; i < times; i++) work(worker);
                   });
               }) /
               double(times);
    };
    const size_t bodies = size_t(std::max(1.0, kBurstSeconds / burst(body, 1))),
                 others = size_t(std::max(1.0, kBurstSeconds / burst(other, 1)));
    Samples seconds, ratios;
    for (const Clock::time_point begin = Clock::now(); seconds_since(begin) < bench.seconds;) {
        const double before = burst(other, others), took = burst(body, bodies),
                     after = burst(other, others);
        seconds.seconds.push_back(took);
        ratios.seconds.push_back(2 * took / (before + after));
    }
    return {seconds.first_decile(), ratios.median()};
}

const PeakLoop *loop_of(const char *name) {
    for (const PeakLoop *loop : {&kMaddubs, &kFma, &kVnni, &kBf16Dot, &kTileBf16, &kTileBf16Fed})
        if (std::strcmp(loop->name, name) == 0 && loop->supported()) return loop;
    return nullptr;
}

struct Row {
    const char *isa, *numerics, *peak;
    int tokens, panels;
};
template <typename Body> void report(Bench &bench, const Row &row, const Body &body) {
    const PeakLoop *loop = loop_of(row.peak);
    if (loop == nullptr) return;
    constexpr uint64_t kRounds = 1000;
    const double peak_flop = loop->run(kRounds),
                 flop = 2.0 * row.tokens * row.panels * kTileRows * kGroups * kGroup;
    const Pair pair = compare(bench, body, [&](const Worker &) { loop->run(kRounds); });
    const double rate = flop / pair.body, of_peak = flop / (peak_flop * pair.ratio),
                 threads = double(bench.panels.size());
    std::printf("%-8s %-8s %6d %10.1f %10.1f %13s %8.3f %8.1f\n", row.isa, row.numerics, row.tokens,
                pair.body * 1e6, threads * rate / 1e9, row.peak, of_peak,
                threads * row.panels * kGroups * double(kTileBytes) / pair.body / 1e9);
    std::fflush(stdout);
}

void measure_rows(Bench &bench, const Kernels &kernels) {
    const size_t row_bytes = kGroups * kernels.group_bytes;
    for (Panel &panel : bench.panels) {
        panel.activations = aligned(panel.activation_bytes, kPanelTokens * row_bytes);
        for (int t = 0; t < kPanelTokens; t++)
            kernels.prepare(&bench.x[size_t(t) * kGroups * kGroup], kGroups,
                            panel.activations + size_t(t) * row_bytes);
    }
    for (const int tokens : {1, 2, 3, 4, 6, 8, 16, 32, 64, kPanelTokens})
        report(bench,
               {kernels.isa, kernels.numerics, peak_of(kernels.isa, kernels.numerics, false),
                tokens, 1},
               [&](const Worker &worker) {
                   const Panel &panel = bench.panels[size_t(worker.global_index)];
                   const uint8_t *rows[kPanelTokens];
                   for (int t = 0; t < tokens; t++)
                       rows[t] = panel.activations + size_t(t) * row_bytes;
                   kernels.panel(
                       {panel.tiles, kTileBytes, kGroups, rows, tokens, panel.sums, panel.scratch});
               });
}

void measure_blocks(Bench &bench, const TileKernels &kernels) {
    constexpr size_t kStride = kGroups * kBlockGroupBytes;
    for (Panel &panel : bench.panels) {
        panel.activations = aligned(panel.activation_bytes, kPanelTokens / kBlockTokens * kStride);
        for (int t = 0; t < kPanelTokens; t++)
            kernels.prepare(&bench.x[size_t(t) * kGroups * kGroup], kGroups,
                            panel.activations + size_t(t / kBlockTokens) * kStride +
                                size_t(t % kBlockTokens) * 64);
    }
    for (const int tokens : {16, 32, 64, 128, kPanelTokens})
        for (const char *peak : {kTileBf16.name, kTileBf16Fed.name})
            report(bench, {kernels.isa, "bf16", peak, tokens, kTilePanels},
                   [&](const Worker &worker) {
                       const Panel &panel = bench.panels[size_t(worker.global_index)];
                       kernels.begin();
                       kernels.panels({panel.tiles, kTileBytes, Panel::kPanelBytes, kTilePanels,
                                       kGroups, panel.activations, kStride, tokens, panel.sums,
                                       panel.scratch});
                       kernels.end();
                   });
}

} // namespace

int main(int argc, char **argv) {
    const double seconds = argc > 1 ? std::atof(argv[1]) : 0.5;
    const int threads = argc > 2 ? std::atoi(argv[2]) : 1;
    if (!(seconds > 0) || threads < 1 || threads > ds4::machine::read_topology().usable) {
        std::fprintf(
            stderr,
            "kt_panel_bench: SECONDS is %s, THREADS is %s; expected more than 0, and 1..%d\n",
            argc > 1 ? argv[1] : "0.5", argc > 2 ? argv[2] : "1",
            ds4::machine::read_topology().usable);
        return 2;
    }
    const std::string isa_wanted = argc > 3 ? argv[3] : "",
                      numerics_wanted = argc > 4 ? argv[4] : "";
    const auto wanted = [&](const char *isa, const char *numerics) {
        return (isa_wanted.empty() || isa_wanted == isa) &&
               (numerics_wanted.empty() || numerics_wanted == numerics);
    };
    Bench bench(threads, seconds);
    std::printf(
        "%s, %d threads: panels of 64 rows x %d inputs\n%-8s %-8s %6s %10s %10s %13s %8s %8s\n",
        ds4::machine::cpu_model().c_str(), threads, kGroups * kGroup, "isa", "numerics", "tokens",
        "us", "GFLOP/s", "peak", "of_peak", "GB/s");
    for (const Isa isa : {Isa::avx2, Isa::avx512})
        for (const Numerics numerics : {Numerics::int8, Numerics::bf16}) {
            const Kernels *kernels = ds4::machine::has(isa)
                                         ? kernels_for(Method::mxfp4, Method::mxfp4, isa, numerics)
                                         : nullptr;
            if (kernels != nullptr && std::strcmp(kernels->isa, isa_name(isa)) == 0 &&
                wanted(kernels->isa, kernels->numerics))
                measure_rows(bench, *kernels);
        }
    if (ds4::machine::has(Isa::amx) && wanted("amx", "bf16"))
        measure_blocks(bench, *tile_kernels_for(Method::mxfp4, Isa::amx));
}
