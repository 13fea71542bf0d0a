// Many tokens. Time is compared with the limit of the roofline, max(bytes / read rate, operations /
// peak).
#include <functional>

#include "moe/suites.h"
#include "moe/turns.h"

namespace ds4::bench {
namespace {

constexpr int kLargestPerExpert = 512;
constexpr double kPatience = 4; // a call that takes more times --seconds is left out
constexpr int kLongCall = 4096; // tokens

struct Timing {
    double best, median;
};

// Calls until `seconds` have passed, at least twice. The first call is a sample only if it alone
// takes that long.
template <typename Call> Timing timed(const Call &call, double seconds) {
    Samples samples;
    const double first = seconds_of(call);
    if (first >= seconds) samples.seconds.push_back(first);
    const size_t wanted = std::max<size_t>(samples.seconds.empty() ? 2 : 1,
                                           std::min<size_t>(60, size_t(seconds / first)));
    for (size_t i = 0; i < wanted; i++) samples.seconds.push_back(seconds_of(call));
    return {samples.first_decile(), samples.median()};
}

void report_row(Bench &bench, ExpertLayers &layers, const Kind &kind, const char *routing,
                const Routes &routes, const Timing &timing) {
    const Shape &shape = bench.settings.shape;
    const double active = routes.distinct, per_expert = double(routes.ids.size()) / active;
    const bool tiles = layers.tile_tokens() > 0 && per_expert >= layers.tile_tokens();
    const std::string peak = peak_of(layers.kernels(), kind.numerics, tiles);
    const Work work{active * shape.expert_bytes(), double(routes.ids.size()) * shape.route_flop()};
    const Limit limit = limit_of(work, {bench.stream, bench.peak(peak)});
    const double rate = work.flop / timing.best;
    bench.report.row("prefill", {{"isa", kind.isa},
                                 {"numerics", kind.numerics},
                                 {"kernels", tiles ? "amx" : layers.kernels()},
                                 {"routing", routing},
                                 {"tokens_per_expert", per_expert},
                                 {"ms", timing.best * 1e3},
                                 {"gflop_per_s", rate / 1e9},
                                 {"limit_by", limit.is_memory ? "memory" : peak},
                                 {"of_limit", timing.best / limit.seconds},
                                 {"of_limit_median", timing.median / limit.seconds},
                                 {"of_peak", rate / bench.peak(peak)}});
    if (routing[0] != 'e') return;
    const std::string name =
        "prefill " + kind.name() + ", " + std::to_string(int(per_expert)) + " tokens an expert: ";
    if (per_expert <= 32)
        bench.report.at_most(name + "time over the limit", timing.best / limit.seconds, 1.3);
}

// Reports the largest call against the peak that takes turns with it.
void report_share(Bench &bench, ExpertLayers &layers, const Kind &kind, const Routes &routes,
                  const std::function<void()> &call) {
    const Settings &settings = bench.settings;
    const bool tiles = layers.tile_tokens() > 0;
    const char *peak = peak_of(layers.kernels(), kind.numerics, tiles);
    const double flop = double(routes.ids.size()) * settings.shape.route_flop(),
                 share = share_beside(peak, settings.threads, settings.parts, flop, call);
    bench.report.row("prefill_in_turns", {{"isa", kind.isa},
                                          {"numerics", kind.numerics},
                                          {"kernels", tiles ? "amx" : layers.kernels()},
                                          {"in_turns_with", peak},
                                          {"tokens_per_expert", double(kLargestPerExpert)},
                                          {"of_peak", share}});
    if (tiles || kind.numerics == "bf16")
        bench.report.at_least("prefill " + kind.name() + ", 512 tokens an expert: share of " +
                                  peak + ", in turns",
                              share, tiles ? 0.5 : 0.9);
}

} // namespace

void measure_prefill(Bench &bench, ExpertLayers &layers, const Kind &kind) {
    const Settings &settings = bench.settings;
    const std::vector<float> input =
        random_input(settings.shape, std::max(kLongCall, 2 * kLargestPerExpert));
    std::vector<float> output(input.size());
    Random random;
    int at = 0;
    double a_token = 0; // seconds for one token of every expert, from the last size
    const int step = settings.full ? 2 : 4;
    for (int per_expert = 2; per_expert <= settings.per_expert; per_expert *= step) {
        if (a_token * per_expert > kPatience * settings.seconds) {
            bench.report.skip("prefill", kind.name() + ": " + std::to_string(per_expert) +
                                             " tokens an expert take longer than --seconds allows");
            return;
        }
        Routes routes = even_routes(settings.shape, per_expert, random);
        const Timing timing = timed(
            [&] {
                routes = even_routes(settings.shape, per_expert, random),
                layers.forward(at++, routes, input, output);
            },
            settings.seconds);
        report_row(bench, layers, kind, "even", routes, timing);
        a_token = timing.best / per_expert;
        if (per_expert == kLargestPerExpert)
            report_share(bench, layers, kind, routes,
                         [&] { layers.forward(at++, routes, input, output); });
    }
    if (settings.per_expert < kLargestPerExpert) return;
    const Routes routes = random_routes(settings.shape, kLongCall, random);
    if (a_token * double(routes.ids.size()) / (2 * settings.shape.experts_per_token) >
        kPatience * settings.seconds) {
        bench.report.skip("prefill", kind.name() + ": a random call of " +
                                         std::to_string(kLongCall) +
                                         " tokens takes longer than --seconds allows");
        return;
    }
    report_row(bench, layers, kind, "random", routes,
               timed([&] { layers.forward(at++, routes, input, output); }, settings.seconds));
}

} // namespace ds4::bench
