// Decode by number of threads, against the read of the same threads, and the parts of a call's
// time.
#include <cmath>

#include "moe/suites.h"
#include "moe/turns.h"

namespace ds4::bench {
namespace {

constexpr size_t kCalls = 64;
constexpr int kCachedCalls = 200;

// Bytes a second of one thread's kernels on weights that stay in its cache: the share of the
// arithmetic.
double cached_rate(const Kind &kind, double seconds) {
    const Shape shape{12, 1, 1024, 256}; // 418 KB an expert, and every call takes the first
    ExpertLayers layers(kind, shape, 1, 1, 1);
    layers.load(SourceExperts(shape));
    const std::vector<float> input = random_input(shape, 1);
    std::vector<float> output(input.size());
    const Routes one{1, 1, {0}, {0.5f}}, none{1, 0, {-1}, {0.5f}};
    const auto calls = [&](const Routes &routes) {
        for (int i = 0; i < kCachedCalls; i++) layers.forward(0, routes, input, output);
    };
    const std::vector<Samples> samples =
        take_turns({{[&] { calls(one); }}, {[&] { calls(none); }}}, {seconds, 3, 3, 1});
    return shape.expert_bytes() * kCachedCalls /
           (samples[0].first_decile() - samples[1].first_decile());
}

std::vector<int> thread_counts(int most) {
    std::vector<int> counts;
    for (int threads = 1; threads < most; threads *= 2) counts.push_back(threads);
    if (most > 3 && counts.back() != most - 1)
        counts.push_back(most - 1); // a core is left to the caller
    counts.push_back(most);
    return counts;
}

// Microseconds that the library's own clock gives to the phases of each call.
struct PhaseSamples {
    std::vector<double> prepare, experts, reduce;

    void add(const PhaseTimes &times) {
        prepare.push_back(times.prepare);
        experts.push_back(times.experts);
        reduce.push_back(times.reduce);
    }
};

struct ScalingSamples {
    std::vector<Samples> turns; // the read, the call, and a call without experts
    PhaseSamples phases;
};

ScalingSamples measure_turns(ExpertLayers &layers, Reader &reader, const Settings &settings) {
    const Shape &shape = settings.shape;
    Random random;
    std::vector<Routes> calls;
    for (size_t call = 0; call < kCalls; call++) calls.push_back(random_routes(shape, 1, random));
    Routes none = calls[0];
    for (int32_t &id : none.ids) id = -1;
    const std::vector<float> input = random_input(shape, 1);
    std::vector<float> output(input.size());
    const size_t bytes = size_t(shape.experts_per_token * shape.expert_bytes());
    size_t at = 0;
    ScalingSamples samples;
    samples.turns =
        take_turns({{[&] { reader.read(bytes); }},
                    {[&] { layers.forward(0, calls[at++ % kCalls], input, output); },
                     [&] { samples.phases.add(layers.times()); }},
                    {[&] { layers.forward(0, none, input, output); }}}, // barriers and hand-off
                   {settings.seconds, 4, 6, 2});
    return samples;
}

void measure(Bench &bench, const Kind &kind, int threads, double one_core) {
    const Settings &settings = bench.settings;
    const Shape &shape = settings.shape;
    ExpertLayers layers(kind, shape, 1, threads, 1);
    layers.load(bench.source);
    Reader reader(bench.memory, threads, 1);
    const double stream = reader.stream(settings.seconds / 2);
    const ScalingSamples samples = measure_turns(layers, reader, settings);
    const double bytes = shape.experts_per_token * shape.expert_bytes(),
                 call = samples.turns[1].first_decile(), rate = bytes / call,
                 share = samples.turns[0].first_decile() / call;
    const Parts parts{bytes / stream, bytes / (one_core * threads),
                      samples.turns[2].first_decile()};
    bench.report.row("scaling", {{"isa", kind.isa},
                                 {"numerics", kind.numerics},
                                 {"threads", threads},
                                 {"stream_gb_per_s", stream / 1e9},
                                 {"decode_gb_per_s", rate / 1e9},
                                 {"of_read", share},
                                 {"of_stream", rate / stream},
                                 {"call_us", call * 1e6},
                                 {"memory_us", parts.memory * 1e6},
                                 {"compute_us", parts.compute * 1e6},
                                 {"hand_off_us", parts.hand_off * 1e6},
                                 {"prepare_us", Samples{samples.phases.prepare}.median()},
                                 {"experts_us", Samples{samples.phases.experts}.median()},
                                 {"reduce_us", Samples{samples.phases.reduce}.median()},
                                 {"bound", bound_of(parts)}});
    if (threads == settings.threads)
        bench.report.at_least("scaling " + kind.name() + ", " + std::to_string(threads) +
                                  " threads: share of a read of the same bytes",
                              share, 0.85);
}

} // namespace

void measure_scaling(Bench &bench, const Kind &kind) {
    const double one_core = cached_rate(kind, bench.settings.seconds / 2);
    for (const int threads : thread_counts(bench.settings.threads))
        measure(bench, kind, threads, one_core);
}

} // namespace ds4::bench
