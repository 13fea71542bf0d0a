// Few tokens. Reading their experts takes all the time, so that every figure is a share of the read
// of the same run.
#include <cmath>

#include "moe/suites.h"
#include "moe/turns.h"

namespace ds4::bench {
namespace {

constexpr size_t kCalls = 64; // with different routes: no call finds its experts in a cache

double required(const std::string &kernels, const std::string &numerics) {
    return kernels == "avx2" || numerics == "bf16" ? 0.70 : 0.80;
}

} // namespace

void measure_decode(Bench &bench, ExpertLayers &layers, const Kind &kind) {
    const Shape &shape = bench.settings.shape;
    Reader reader(bench.memory, bench.settings.threads, bench.settings.parts);
    Random random;
    for (const int tokens : {1, 2, 4, 8}) {
        std::vector<Routes> calls;
        double distinct = 0;
        for (size_t call = 0; call < kCalls; call++) {
            calls.push_back(random_routes(shape, tokens, random));
            distinct += calls.back().distinct;
        }
        const double bytes = distinct / kCalls * shape.expert_bytes();
        const std::vector<float> input = random_input(shape, tokens);
        std::vector<float> output(input.size());
        int at = 0;
        const auto decode = [&] {
            layers.forward(at, calls[size_t(at) % kCalls], input, output), at++;
        };
        // A read of as many bytes has the same hand-off; the stream has none.
        const std::vector<Samples> samples = take_turns(
            {{[&] { reader.read(size_t(bytes)); }}, {decode}}, {bench.settings.seconds, 4, 6, 2});
        const double rate = bytes / samples[1].first_decile();
        const double share = samples[0].first_decile() / samples[1].first_decile(),
                     middle = samples[0].median() / samples[1].median();
        bench.report.row("decode", {{"isa", kind.isa},
                                    {"numerics", kind.numerics},
                                    {"kernels", layers.kernels()},
                                    {"tokens", tokens},
                                    {"ms", samples[1].first_decile() * 1e3},
                                    {"gb_per_s", rate / 1e9},
                                    {"of_read", share},
                                    {"of_read_median", middle},
                                    {"of_stream", rate / bench.stream}});
        if (tokens == 1)
            bench.report.at_least("decode " + kind.name() +
                                      ", 1 token: share of a read of the same bytes",
                                  share, required(layers.kernels(), kind.numerics));
    }
}

} // namespace ds4::bench
