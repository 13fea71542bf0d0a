// One core's panel kernels on weights that stay in its cache, by the number of tokens: what is lost between the
// arithmetic's peak and a panel, with neither memory, threads nor activations in between. Every share is of the peak
// loop that takes turns with the panel. Usage: kt_panel_bench [SECONDS of each row, default 0.5]; it is no product of
// build.ts: cmake --build native/build/ninja --target kt_panel_bench
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "experts/packing.h"
#include "experts/reference.h"
#include "kernels/tile_kernels.h"
#include "moe/peaks.h"
#include "moe/report.h"
#include "moe/turns.h"

namespace {

using namespace ds4::bench;
using namespace ds4::ktb;

constexpr int kGroups = 4096 / kGroup;
constexpr double kBurstSeconds = 0.5e-3; // short, so that some bursts meet nothing else that runs on the core

uint8_t *aligned(std::vector<uint8_t> &bytes, size_t count) {
    bytes.resize(count + 64);
    return bytes.data() + (64 - reinterpret_cast<uintptr_t>(bytes.data()) % 64) % 64;
}

// 64 rows x 4096 inputs of weights and kPanelTokens activations.
struct Panel {
    Panel() : x(random_values(size_t(kPanelTokens) * kGroups * kGroup, 1.0f, 2)) {
        const std::vector<CanonicalExpert> expert = random_experts(1, kGroups * kGroup, kTileRows, 1);
        TileRows rows;
        for (int row = 0; row < kTileRows; row++) {
            rows.codes[row] = expert[0].codes[0].data() + size_t(row) * kGroups * 16;
            rows.scales[row] = expert[0].scales[0].data() + size_t(row) * kGroups;
        }
        tiles = aligned(tile_bytes, kGroups * kTileBytes);
        pack_strip(Method::mxfp4, rows, {0, kGroup, kGroups, tiles, kTileBytes});
        scratch = aligned(scratch_bytes, std::max(kPanelScratchBytes, kTileScratchBytes));
        sums = reinterpret_cast<float *>(aligned(sum_bytes, size_t(kPanelTokens) * kTileRows * sizeof(float)));
    }
    std::vector<float> x;
    std::vector<uint8_t> tile_bytes, scratch_bytes, sum_bytes;
    uint8_t *tiles, *scratch;
    float *sums;
};

// Best seconds of one `body`, of bursts that take turns with bursts of `other`.
struct Pair {
    double body, other;
};
template <typename Body, typename Other> Pair best_of(const Body &body, const Other &other, double seconds) {
    const size_t bodies = size_t(std::max(1.0, kBurstSeconds / seconds_of(body))), others = size_t(std::max(1.0, kBurstSeconds / seconds_of(other)));
    Pair best{1e9, 1e9};
    for (const Clock::time_point begin = Clock::now(); seconds_since(begin) < seconds;) {
        best.body = std::min(best.body, seconds_of([&] { for (size_t i = 0; i < bodies; i++) body(); }) / double(bodies));
        best.other = std::min(best.other, seconds_of([&] { for (size_t i = 0; i < others; i++) other(); }) / double(others));
    }
    return best;
}

const PeakLoop *loop_of(const char *name) {
    for (const PeakLoop *loop : {&kMaddubs, &kFma, &kVnni, &kBf16Dot, &kTileBf16})
        if (std::strcmp(loop->name, name) == 0 && loop->supported()) return loop;
    return nullptr;
}

template <typename Body> void report(const char *isa, const char *numerics, const char *peak, int tokens, double seconds, const Body &body) {
    const PeakLoop *loop = loop_of(peak);
    if (loop == nullptr) return;
    constexpr uint64_t kRounds = 1000;
    const double peak_flop = loop->run(kRounds), flop = 2.0 * tokens * kTileRows * kGroups * kGroup;
    const Pair best = best_of(body, [&] { loop->run(kRounds); }, seconds);
    const double rate = flop / best.body, peak_rate = peak_flop / best.other;
    std::printf("%-8s %-8s %6d %10.1f %10.1f %10s %8.3f %8.1f\n", isa, numerics, tokens, best.body * 1e6, rate / 1e9, peak, rate / peak_rate, kGroups * double(kTileBytes) / best.body / 1e9);
    std::fflush(stdout);
}

void measure_rows(const Panel &panel, const Kernels &kernels, double seconds) {
    std::vector<uint8_t> prepared(size_t(kPanelTokens) * kGroups * kernels.group_bytes);
    std::vector<const uint8_t *> rows;
    for (int t = 0; t < kPanelTokens; t++) {
        rows.push_back(prepared.data() + size_t(t) * kGroups * kernels.group_bytes);
        kernels.prepare(&panel.x[size_t(t) * kGroups * kGroup], kGroups, const_cast<uint8_t *>(rows.back()));
    }
    for (const int tokens : {1, 2, 3, 4, 6, 8, 16, 32, 64, kPanelTokens})
        report(kernels.isa, kernels.numerics, peak_of(kernels.isa, kernels.numerics, false), tokens, seconds,
               [&] { kernels.panel({panel.tiles, kTileBytes, kGroups, rows.data(), tokens, panel.sums, panel.scratch}); });
}

void measure_blocks(const Panel &panel, const TileKernels &kernels, double seconds) {
    std::vector<uint8_t> memory;
    constexpr size_t kBlockBytes = kGroups * kBlockGroupBytes;
    uint8_t *const blocks = aligned(memory, kPanelTokens / kBlockTokens * kBlockBytes);
    for (int t = 0; t < kPanelTokens; t++)
        kernels.prepare(&panel.x[size_t(t) * kGroups * kGroup], kGroups, blocks + size_t(t / kBlockTokens) * kBlockBytes + size_t(t % kBlockTokens) * 64);
    for (const int tokens : {16, 32, 64, 128, kPanelTokens})
        report(kernels.isa, "bf16", peak_of("amx", "bf16", true), tokens, seconds, [&] {
            kernels.begin();
            kernels.panels({panel.tiles, kTileBytes, 0, 1, kGroups, blocks, kBlockBytes, tokens, panel.sums, panel.scratch});
            kernels.end();
        });
}

} // namespace

int main(int argc, char **argv) {
    const double seconds = argc > 1 ? std::atof(argv[1]) : 0.5;
    if (!(seconds > 0)) {
        std::fprintf(stderr, "kt_panel_bench: SECONDS is %s; expected more than 0\n", argv[1]);
        return 2;
    }
    const Panel panel;
    std::printf("%s: 64 rows x %d inputs\n%-8s %-8s %6s %10s %10s %10s %8s %8s\n", cpu_model().c_str(), kGroups * kGroup, "isa", "numerics", "tokens", "us", "GFLOP/s", "peak", "of_peak", "GB/s");
    for (const Isa isa : {Isa::avx2, Isa::avx512})
        for (const Numerics numerics : {Numerics::int8, Numerics::bf16}) {
            const Kernels *kernels = cpu_has(isa) ? kernels_for(Method::mxfp4, Method::mxfp4, isa, numerics) : nullptr;
            if (kernels != nullptr && std::strcmp(kernels->isa, isa_name(isa)) == 0) measure_rows(panel, *kernels, seconds);
        }
    if (cpu_has(Isa::amx)) measure_blocks(panel, *tile_kernels_for(Method::mxfp4, Isa::amx), seconds);
}
