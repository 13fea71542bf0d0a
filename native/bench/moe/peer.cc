// llama.cpp's kernels on the same experts, the same routes and as many threads, in turns with ours.
#include <cmath>
#include <stdexcept>

#include "moe/ggml_experts.h"
#include "moe/suites.h"
#include "moe/turns.h"

namespace ds4::bench {
namespace {

constexpr int kCalls = 8;          // of a decode sample: as many layers of a model
constexpr int kPrefillTokens = 64; // an expert
constexpr double kTolerance = 2e-2;

double relative_error(const std::vector<float> &values, const std::vector<float> &expected) {
    double error = 0, size = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        const double difference = double(values[i]) - double(expected[i]);
        error += difference * difference, size += double(expected[i]) * double(expected[i]);
    }
    return std::sqrt(error / size);
}

// The same work in both libraries: `calls` forwards of the same routes.
struct Task {
    const char *name;
    int calls;
    std::vector<Routes> routes;
    std::vector<float> input, output;

    void run(ExpertLayers &layers) {
        for (int call = 0; call < calls; call++)
            layers.forward(call, routes[size_t(call)], input, output, 0);
    }
    double tokens() const { return double(calls) * routes[0].tokens; }
};

Task make_task(const Shape &shape, bool prefill) {
    Random random;
    Task task{prefill ? "prefill" : "decode", prefill ? 1 : kCalls, {}, {}, {}};
    for (int call = 0; call < task.calls; call++)
        task.routes.push_back(prefill ? even_routes(shape, kPrefillTokens, random)
                                      : random_routes(shape, 1, random));
    task.input = random_input(shape, task.routes[0].tokens);
    task.output.resize(task.input.size());
    return task;
}

double target_of(const Task &task, const std::string &numerics) {
    return task.calls > 1 ? 1.4 : numerics == "int8" ? 2.4 : 1.5;
}

// Measures one task: ours in both numerics against the peer's graph.
void compare(Bench &bench, GgmlLibrary &library, const GgmlExperts &experts,
             const std::vector<ExpertLayers *> &ours, const std::vector<Kind> &kinds,
             const char *buffers, bool prefill) {
    const Shape &shape = bench.settings.shape;
    Task task = make_task(shape, prefill);
    GgmlGraph graph(library, experts, shape, task.routes[0].tokens, task.calls);
    for (int call = 0; call < task.calls; call++)
        graph.set(call, task.routes[size_t(call)], task.input);
    graph.compute();
    const std::vector<float> theirs = graph.output(task.calls - 1);
    std::vector<double> errors;
    std::vector<Contender> contenders = {{[&] { graph.compute(); }, [&] { library.sleep(); }}};
    library.sleep();
    for (ExpertLayers *layers : ours) {
        task.run(*layers);
        errors.push_back(relative_error(task.output, theirs)); // of the last call
        contenders.push_back({[&task, layers] { task.run(*layers); }});
    }
    const std::vector<Samples> samples =
        take_turns(contenders, {bench.settings.seconds * 3, 3, prefill ? 2u : 4u, 1});
    for (size_t i = 0; i < ours.size(); i++) {
        const double ratio = samples[0].first_decile() / samples[i + 1].first_decile();
        bench.report.row("peer",
                         {{"task", task.name},
                          {"buffers", buffers},
                          {"variant", library.variant()},
                          {"isa", kinds[i].isa},
                          {"numerics", kinds[i].numerics},
                          {"their_tokens_per_s", task.tokens() / samples[0].first_decile()},
                          {"our_tokens_per_s", task.tokens() / samples[i + 1].first_decile()},
                          {"ratio", ratio},
                          {"ratio_median", samples[0].median() / samples[i + 1].median()},
                          {"difference", errors[i]}});
        const std::string name =
            std::string("peer (") + buffers + "), " + task.name + " " + kinds[i].name() + ": ";
        bench.report.at_least(name + "tokens/s over theirs", ratio,
                              target_of(task, kinds[i].numerics));
        bench.report.at_most(name + "relative difference of the outputs", errors[i], kTolerance);
    }
}

} // namespace

void measure_peer(Bench &bench) {
    const Settings &settings = bench.settings;
    if (settings.ggml.empty()) {
        bench.report.skip(
            "peer",
            "needs --ggml DIR, a folder with libggml-base.so, libggml*.so and libggml-cpu-*.so");
        return;
    }
    GgmlLibrary library(settings.ggml, settings.threads);
    std::vector<Kind> kinds = offered_kinds(settings, false);
    if (kinds.empty())
        throw std::runtime_error("this CPU has none of the instruction sets that are asked for");
    std::vector<std::unique_ptr<ExpertLayers>> ours;
    std::vector<ExpertLayers *> pointers;
    for (const Kind &kind : kinds) {
        ours.push_back(std::make_unique<ExpertLayers>(kind, settings.shape, 1, settings.threads,
                                                      settings.parts));
        ours.back()->load(bench.source);
        pointers.push_back(ours.back().get());
    }
    const bool repacks = can_repack(library);
    if (!repacks)
        bench.report.skip("peer", "ggml's " + library.variant() + " library does not repack MXFP4");
    for (const bool repack : {false, true}) {
        if (repack && !repacks) continue;
        const GgmlExperts experts(library,
                                  repack ? library.repack_buffers() : library.plain_buffers(),
                                  settings.shape, 1, bench.source);
        for (const bool prefill : {false, true})
            compare(bench, library, experts, pointers, kinds, repack ? "repacked" : "plain",
                    prefill);
    }
}

} // namespace ds4::bench
