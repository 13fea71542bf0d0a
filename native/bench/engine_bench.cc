// Steps of the engine on a model of six layers in the width of Flash, with random weights. Suites:
// decode by context, prefill by context, several sessions in one step. Also a question and a stream
// beside a document, and the choice of a token. Times are medians.
//
//   engine_bench [decode|prefill|sessions|serving|sampler]... [--threads N] [--layers N]
//   [--repeats N] [--contexts N,N,...] [--chunk N] [--isa auto|generic|avx2|avx512]
//   [--mapped-dense] [--backend cpu|cuda] [--recipe small|q2|q4|mxfp4] [--json]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "engine/flash_width_model.h"
#include "engine/long_context.h"
#include "engine/median.h"
#include "engine/sampling.h"
#include "engine/serving.h"

namespace {

using namespace ds4;
using bench::expect_ok;
using Clock = std::chrono::steady_clock;

struct Options {
    bool decode = false, prefill = false, sessions = false, serving = false, sampler = false,
         mapped_dense = false, json = false;
    uint32_t threads = 1, layers = 6, repeats = 9, chunk = 512, isa = DS4_ISA_AUTO,
             backend = DS4_BACKEND_CPU;
    bench::FlashWidthOptions model;
    std::vector<uint32_t> contexts{0, 8192, 65536, 262144, 1000000};
};

struct Engine {
    ds4_engine *handle = nullptr;
    std::vector<float> logits;
    double regions = 0; // parallel regions of the last step

    Engine(const bench::FlashWidthModel &model, const Options &options)
        : logits(size_t(model.shape().vocab) * 16) {
        ds4_engine_options raw{};
        raw.struct_bytes = sizeof raw, raw.threads = options.threads, raw.isa = options.isa;
        raw.backend = options.backend, raw.max_step_tokens = options.chunk;
        raw.experts = options.backend == DS4_BACKEND_CUDA ? DS4_EXPERTS_AUTO : DS4_EXPERTS_PACKED;
        raw.session_tokens = 1024;
        raw.switches = options.mapped_dense ? DS4_SWITCH_MAPPED_DENSE : 0;
        expect_ok(ds4_engine_open(model.model(), &raw, &handle), "ds4_engine_open");
    }
    ~Engine() { ds4_engine_close(handle); }
    Engine(const Engine &) = delete;
    Engine &operator=(const Engine &) = delete;

    ds4_session *open(const std::vector<uint8_t> &snapshot, uint32_t context) const {
        const ds4_session_options raw{sizeof raw, context, nullptr};
        ds4_session *session = nullptr;
        expect_ok(ds4_session_open(handle, &raw, &session), "ds4_session_open");
        if (!snapshot.empty())
            expect_ok(ds4_session_restore(session, snapshot.data(), snapshot.size()),
                      "ds4_session_restore");
        return session;
    }
    // Seconds of one step of `count` tokens for each session.
    double step(const std::vector<ds4_session *> &sessions, uint32_t count, uint32_t seed) {
        std::vector<ds4_step_item> items;
        std::vector<int32_t> tokens;
        for (ds4_session *session : sessions) {
            items.push_back({session, count, DS4_LOGITS_LAST});
            for (uint32_t i = 0; i < count; i++)
                tokens.push_back(int32_t((seed * 7919 + tokens.size() * 131 + 13) % 4096));
        }
        const double regions_before = total_regions();
        const Clock::time_point begin = Clock::now();
        expect_ok(ds4_engine_step(handle, items.data(), uint32_t(items.size()), tokens.data(),
                                  tokens.size(), logits.data(), logits.size()),
                  "ds4_engine_step");
        const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
        regions = total_regions() - regions_before;
        return seconds;
    }
    double total_regions() const {
        std::string text(ds4_engine_describe(handle, nullptr, 0) + 64, '\0');
        ds4_engine_describe(handle, text.data(), text.size());
        const std::string name = "\"parallel_regions\":";
        const size_t at = text.find(name);
        return at == text.npos ? 0.0 : std::atof(text.c_str() + at + name.size());
    }
    double median(const std::vector<ds4_session *> &sessions, uint32_t count, uint32_t repeats) {
        std::vector<double> times;
        step(sessions, count, 0);
        for (uint32_t i = 1; i <= repeats; i++) times.push_back(step(sessions, count, i));
        return bench::median(times);
    }
};

void print(const Options &options, const char *suite, const char *key, uint32_t value,
           double seconds, uint32_t tokens, double ratio, double regions) {
    const double of_layer = regions / options.layers;
    if (options.json)
        std::printf("{\"suite\":\"%s\",\"%s\":%u,\"threads\":%u,\"milliseconds\":%.3f,"
                    "\"tokens_per_second\":%.2f,\"ratio\":%.3f,\"regions_of_layer\":%.1f}\n",
                    suite, key, value, options.threads, seconds * 1e3, tokens / seconds, ratio,
                    of_layer);
    else
        std::printf(
            "%-8s %8u %s  %10.2f ms  %9.1f tokens/s  %6.2f of the first line  %5.1f regions a "
            "layer\n",
            suite, value, key, seconds * 1e3, tokens / seconds, ratio, of_layer);
    std::fflush(stdout);
}

// One row a context. The ratio is the time of a step over the first row's.
void by_context(Engine &engine, const bench::FlashWidthModel &model, const Options &options,
                const char *suite, uint32_t count) {
    double first = 0;
    const uint32_t repeats = count == 1 ? options.repeats : std::max(1u, options.repeats / 3);
    for (const uint32_t context : options.contexts) {
        const uint32_t room = count * (repeats + 1);
        if (context + room > model.shape().context_tokens) continue;
        std::vector<uint8_t> snapshot;
        if (context > 0) snapshot = bench::random_snapshot(engine.handle, model.shape(), context);
        ds4_session *session = engine.open(snapshot, context + room);
        const double seconds = engine.median({session}, count, repeats);
        if (first == 0) first = seconds;
        print(options, suite, "context", context, seconds, count, seconds / first, engine.regions);
        ds4_session_close(session);
    }
}

// One row a number of sessions. The ratio is the rate of all sessions over that of one alone.
void by_sessions(Engine &engine, const bench::FlashWidthModel &model, const Options &options) {
    const std::vector<uint8_t> snapshot =
        bench::random_snapshot(engine.handle, model.shape(), 1024);
    std::vector<ds4_session *> sessions;
    double one = 0;
    for (const uint32_t count : {1u, 2u, 3u, 4u, 6u, 8u}) {
        while (sessions.size() < count) sessions.push_back(engine.open(snapshot, 4096));
        const double seconds = engine.median(sessions, 1, options.repeats);
        if (count == 1) one = seconds;
        print(options, "sessions", "at once", count, seconds, count, count * one / seconds,
              engine.regions);
    }
    for (ds4_session *session : sessions) ds4_session_close(session);
}

void serving(const Engine &engine, const bench::FlashWidthModel &model, const Options &options) {
    constexpr uint32_t kDocument = 4000;
    const bench::ServingFigures f = bench::measure_serving(
        engine.handle, model.shape().vocab, kDocument, std::max(1u, options.repeats / 3));
    if (options.json)
        std::printf("{\"suite\":\"serving\",\"threads\":%u,\"question_alone\":%.4f,"
                    "\"question_behind\":%.4f,\"stream_alone\":%.2f,\"stream_beside\":%.2f,"
                    "\"document_alone\":%.3f,\"document_beside\":%.3f}\n",
                    options.threads, f.question_alone, f.question_behind, f.stream_alone,
                    f.stream_beside, f.document_alone, f.document_beside);
    else
        std::printf("serving  question %.0f ms alone, %.0f ms behind a document of %u tokens; "
                    "stream %.1f tokens/s alone, %.1f beside it; document %.2f s alone, %.2f s "
                    "beside a stream\n",
                    f.question_alone * 1e3, f.question_behind * 1e3, kDocument, f.stream_alone,
                    f.stream_beside, f.document_alone, f.document_beside);
    std::fflush(stdout);
}

std::vector<uint32_t> numbers(const char *text) {
    std::vector<uint32_t> out;
    for (char *end = nullptr; *text != '\0'; text = *end == ',' ? end + 1 : end) {
        out.push_back(uint32_t(std::strtoul(text, &end, 10)));
        if (end == text) return {};
    }
    return out;
}

// The routed experts of a whole model of Flash: q2 as in the 2-bit files, q4, or the vendor's own.
// small: some of a few layers.
bool read_recipe(const std::string &name, bench::FlashWidthOptions &model) {
    if (name == "small") return true;
    model.experts = 256, model.vocab = 129280;
    if (name == "q2")
        model.gate_up_type = DS4_TYPE_IQ2_XXS, model.down_type = DS4_TYPE_Q2_K;
    else if (name == "q4")
        model.gate_up_type = model.down_type = DS4_TYPE_Q4_K;
    else if (name == "mxfp4")
        model.expert_banks = 24; // what a GPU of 141 GB holds
    else
        return false;
    return true;
}

[[noreturn]] void usage(const char *word) {
    std::fprintf(stderr,
                 "engine_bench: %s is not understood; engine_bench "
                 "[decode|prefill|sessions|serving|sampler]... "
                 "[--threads N] [--layers N] [--repeats N] [--contexts N,N,...] [--chunk N] "
                 "[--isa auto|generic|avx2|avx512] [--mapped-dense] [--backend cpu|cuda] "
                 "[--recipe small|q2|q4|mxfp4] [--json]\n",
                 word);
    std::exit(2);
}

Options read_options(int argc, char **argv) {
    Options options;
    for (int i = 1; i < argc; i++) {
        const std::string word = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (word == "decode")
            options.decode = true;
        else if (word == "prefill")
            options.prefill = true;
        else if (word == "sessions")
            options.sessions = true;
        else if (word == "serving")
            options.serving = true;
        else if (word == "sampler")
            options.sampler = true;
        else if (word == "--mapped-dense")
            options.mapped_dense = true;
        else if (word == "--json")
            options.json = true;
        else if (word == "--threads")
            options.threads = uint32_t(std::atoi(value)), i++;
        else if (word == "--layers")
            options.layers = uint32_t(std::atoi(value)), i++;
        else if (word == "--repeats")
            options.repeats = uint32_t(std::atoi(value)), i++;
        else if (word == "--chunk")
            options.chunk = uint32_t(std::atoi(value)), i++;
        else if (word == "--contexts")
            options.contexts = numbers(value), i++;
        else if (word == "--backend")
            options.backend = std::strcmp(value, "cuda") == 0 ? uint32_t(DS4_BACKEND_CUDA)
                                                              : uint32_t(DS4_BACKEND_CPU),
            i++;
        else if (word == "--recipe") {
            if (!read_recipe(value, options.model)) usage(value);
            i++;
        } else if (word == "--isa") {
            const std::string name = value;
            options.isa = name == "generic"  ? uint32_t(DS4_ISA_GENERIC)
                          : name == "avx2"   ? uint32_t(DS4_ISA_AVX2)
                          : name == "avx512" ? uint32_t(DS4_ISA_AVX512)
                                             : uint32_t(DS4_ISA_AUTO);
            i++;
        } else
            usage(argv[i]);
    }
    if (options.threads == 0 || options.layers == 0 || options.repeats == 0 || options.chunk == 0 ||
        options.chunk > 16384 || options.contexts.empty())
        usage("a number out of range");
    if (!options.decode && !options.prefill && !options.sessions && !options.serving &&
        !options.sampler)
        options.decode = options.prefill = options.sessions = options.serving = options.sampler =
            true;
    return options;
}

} // namespace

int main(int argc, char **argv) {
    const Options options = read_options(argc, argv);
    if (options.sampler) bench::measure_sampling(129280, int(options.threads), options.json);
    if (!options.decode && !options.prefill && !options.sessions && !options.serving) return 0;
    bench::FlashWidthOptions shape = options.model;
    shape.layers = options.layers;
    const bench::FlashWidthModel model(shape);
    Engine engine(model, options);
    if (options.decode) by_context(engine, model, options, "decode", 1);
    if (options.prefill) by_context(engine, model, options, "prefill", options.chunk);
    if (options.sessions) by_sessions(engine, model, options);
    if (options.serving) serving(engine, model, options);
}
