// Measures how near the CPU expert library comes to the limits of this machine. Every figure is a
// ratio within one run. It is relative to the streaming read of the same threads, the measured peak
// of the instructions, a plain copy, or llama.cpp's kernels.
// Usage: kt_moe_bench --help
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "machine/cpu_model.h"
#include "moe/suites.h"
#include "moe/turns.h"

namespace {

using namespace ds4::bench;

// A suite that cannot be measured here says so and leaves the others alone.
template <typename Suite> void run_suite(Report &report, const char *name, const Suite &suite) {
    try {
        suite();
    } catch (const std::exception &error) {
        report.skip(name, error.what());
    }
}

void measure_kinds(Bench &bench) {
    const Settings &settings = bench.settings;
    if (!settings.wants("decode") && !settings.wants("prefill")) return;
    for (const Kind &kind : offered_kinds(settings, settings.full)) {
        run_suite(bench.report, "decode", [&] {
            ExpertLayers layers(kind, settings.shape, settings.layers, settings.threads,
                                settings.parts);
            layers.load(bench.source);
            if (settings.wants("decode")) measure_decode(bench, layers, kind);
            if (settings.wants("prefill")) measure_prefill(bench, layers, kind);
        });
    }
}

void measure(Bench &bench) {
    const Settings &settings = bench.settings;
    measure_rates(bench);
    measure_kinds(bench);
    for (const Kind &kind : offered_kinds(settings, false)) {
        if (settings.wants("scaling") && (settings.full || kind.numerics == "int8"))
            run_suite(bench.report, "scaling", [&] { measure_scaling(bench, kind); });
        if (settings.wants("methods") && (settings.full || kind.numerics == "int8"))
            run_suite(bench.report, "methods", [&] { measure_methods(bench, kind); });
    }
    if (settings.wants("calibration"))
        run_suite(bench.report, "calibration", [&] { measure_calibration(bench); });
    if (settings.wants("loading"))
        run_suite(bench.report, "loading", [&] { measure_loading(bench); });
    if (settings.wants("peer")) run_suite(bench.report, "peer", [&] { measure_peer(bench); });
}

int run(const Settings &settings) {
    const bool only_json = settings.json == "-";
    Report report(!only_json);
    if (!only_json)
        std::printf(
            "%s, %d threads, %d parts; %d layers of %d experts, %d a token, hidden %d, width %d\n",
            ds4::machine::cpu_model().c_str(), settings.threads, settings.parts, settings.layers,
            settings.shape.experts, settings.shape.experts_per_token, settings.shape.hidden,
            settings.shape.intermediate);
    ReadMemory memory(settings.read_mib << 20);
    const SourceExperts source(settings.shape);
    Bench bench{settings, report, memory, source, 0, {}};
    measure(bench);
    report.print_targets();
    if (settings.json.empty()) return 0;
    std::FILE *const file = only_json ? stdout : std::fopen(settings.json.c_str(), "w");
    if (file == nullptr) throw std::runtime_error("cannot write " + settings.json);
    report.write_json(file, settings);
    if (!only_json && std::fclose(file) != 0)
        throw std::runtime_error("cannot write " + settings.json);
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    try {
        if (argc > 1 && std::strcmp(argv[1], "--help") == 0) {
            std::fputs(kUsage, stdout);
            return 0;
        }
        if (argc > 2 && std::strcmp(argv[1], "--peak-of") == 0)
            return load_and_report_memory(argv[2], parse_settings(argc - 2, argv + 2));
        return run(parse_settings(argc, argv));
    } catch (const std::invalid_argument &error) {
        std::fprintf(stderr, "kt_moe_bench: %s\n%s", error.what(), kUsage);
        return 2;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "kt_moe_bench: %s\n", error.what());
        return 1;
    }
}
