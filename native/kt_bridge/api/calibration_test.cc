// Trials on the weights of a layer. Their choice leaves results alone.
#include <cstring>

#include "api/handles.h"
#include "api/test_layer.h"
#include "base/test.h"
#include "experts/engine/calibration_job.h"
#include "machine/topology.h"
#include "machine/instruction_sets.h"

using namespace ds4::ktb;
using ds4::Isa;
using namespace ds4::ktb::test;

namespace {

constexpr Shape kShape{8, 3, 256, 512};

std::string description(ktb_engine_t engine) {
    std::string text(size_t(ktb_engine_describe(engine, nullptr, 0)) + 1, '\0');
    ktb_engine_describe(engine, text.data(), text.size());
    return text;
}

bool contains(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

// Forwards of 1 to 130 tokens, one after the other.
std::vector<float> outputs_of(const std::string &options,
                              const std::vector<CanonicalExpert> &experts) {
    TestLayer layer(options, kShape, experts);
    CHECK(layer.ready);
    std::vector<float> all;
    for (const int tokens : {1, 3, 9, 40, 130}) {
        const std::vector<float> input =
                                     random_values(size_t(tokens) * size_t(kShape.hidden), 1.0f, 5),
                                 weights(size_t(tokens) * size_t(kShape.experts_per_token), 0.5f);
        std::vector<int32_t> ids;
        for (int slot = 0; slot < tokens * kShape.experts_per_token; slot++)
            ids.push_back((slot * 5 + slot / 7) % kShape.experts);
        const std::vector<float> output =
            layer.forward(tokens, input.data(), ids.data(), weights.data());
        all.insert(all.end(), output.begin(), output.end());
    }
    return all;
}

bool same(const std::vector<float> &a, const std::vector<float> &b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// The kernels that have run since the clock was last read. A fake clock makes them fast or slow.
bool tiles_ran = false;
int64_t clock_now = 1;

int64_t fake_clock() {
    clock_now += tiles_ran ? 100'000 : 1'000'000;
    tiles_ran = false;
    return clock_now;
}
void counted_panels(const TilePanelArgs &args) {
    tiles_ran = true;
    kDefinedTiles.panels(args);
}
void wrong_panels(const TilePanelArgs &args) {
    kDefinedTiles.panels(args);
    args.sums[5] += 1e-3f;
}
void wrong_prepare(const float *x, int groups, uint8_t *out) {
    kernels_for(Method::mxfp4, Method::mxfp4, ds4::machine::best_isa(), Numerics::int8)
        ->prepare(x, groups, out);
    out[3] ^= 0x40;
}

// Runs the job's steps on a worker of its own.
Tuning tuned_by(ktb_moe_t moe, const CalibrationJob::Settings &settings) {
    ExpertLayer &layer = *moe->layer;
    PoolOptions options;
    options.threads = options.parts = 1;
    options.spin_us = 0;
    WorkerPool pool(options, ds4::machine::read_topology());
    Workspace workspace;
    ForwardTimes times;
    const Kernels *usual = settings.candidates.tables[0];
    const KernelChoice choice{{usual, usual, usual, usual}, nullptr, 0, kFusedTokens, false, true};
    Tuning tuning;
    CalibrationJob job({pool, workspace, times, HugePages::off, choice, 8192}, layer, settings,
                       tuning);
    Signal done;
    for (WorkerPool::Step step; job.next(step);) {
        step.finished = [](void *signal) { static_cast<Signal *>(signal)->advance(); };
        step.finished_context = &done;
        const uint32_t seen = done.value();
        pool.start(step);
        done.wait(seen, 0);
    }
    job.finish(0);
    return tuning;
}

CalibrationJob::Settings settings_of(const std::vector<const Kernels *> &tables) {
    CalibrationJob::Settings settings;
    settings.candidates.tables = tables;
    settings.candidates.fused_tokens = kFusedTokens;
    settings.plain = &kGenericInt8;
    settings.clock = fake_clock;
    return settings;
}

} // namespace

TEST("results have the same bits with the calibration and without, and with any fixed form") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 71);
    for (const char *numerics : {"int8", "bf16", "fp8ref", "f32"}) {
        const std::string base =
            std::string("{\"threads\":2,\"nodes\":[0],\"spin_us\":0,\"numerics\":\"") + numerics +
            "\"";
        const std::vector<float> plain = outputs_of(base + ",\"calibrate\":false}", experts);
        CHECK(same(plain, outputs_of(base + "}", experts)));
        for (const int fused : {0, 1, 7, 16})
            CHECK(same(plain, outputs_of(base + ",\"fused_tokens\":" + std::to_string(fused) + "}",
                                         experts)));
        CHECK(same(plain, outputs_of(base + ",\"calibrate\":false,\"fused_tokens\":5}", experts)));
    }
}

TEST("the description tells what was measured and chosen, and nothing without a calibration") {
    if (ds4::machine::best_isa() == Isa::generic) return;
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 72);
    TestLayer measured("{\"threads\":1,\"spin_us\":0}", kShape, experts),
        plain("{\"threads\":1,\"spin_us\":0,\"calibrate\":false}", kShape, experts);
    const std::string text = description(measured.engine);
    for (const char *part : {"\"calibration\":[{\"gate_up\":\"MXFP4\",\"down\":\"MXFP4\","
                             "\"hidden\":256,\"intermediate\":512,\"fused_tokens\":",
                             "\"kernels\":[{\"from_tokens\":1,\"isa\":\"avx",
                             "\"trials\":[{\"tokens\":1,\"isa\":\"avx", "\"form\":\"fused\"",
                             "\"form\":\"grouped\"", "\"excluded\":[]"})
        CHECK(contains(text, part));
    CHECK(contains(description(plain.engine), "\"calibration\":[]"));
    CHECK(ktb_moe_export_expert(measured.moe, 0, 1, nullptr, 0, nullptr, 0) !=
          KTB_OK); // the layer is no longer busy
}

TEST("a table that fails its check is excluded and named, and the next one takes its place") {
    const Kernels &usual =
        *kernels_for(Method::mxfp4, Method::mxfp4, ds4::machine::best_isa(), Numerics::int8);
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 73);
    TestLayer layer("{\"threads\":1,\"spin_us\":0,\"calibrate\":false}", kShape, experts);
    Kernels wrong = usual;
    wrong.isa = "wrong";
    wrong.prepare = wrong_prepare;
    for (const bool is_usual : {true, false}) {
        const Tuning tuning = tuned_by(
            layer.moe, settings_of(is_usual ? std::vector<const Kernels *>{&wrong, &usual}
                                            : std::vector<const Kernels *>{&usual, &wrong}));
        CHECK(tuning.excluded.size() == 1 && tuning.excluded[0].isa == "wrong" &&
              contains(tuning.excluded[0].reason, "gate and up is "));
        for (const Kernels *kernels : tuning.kernels) CHECK(kernels == &usual);
        for (const Trial &trial : tuning.trials) CHECK(trial.kernels == &usual);
    }
    CalibrationJob::Settings settings = settings_of({&wrong});
    CHECK(tuned_by(layer.moe, settings).kernels[0] == &kGenericInt8);
    settings.fallbacks = {&wrong, &usual};
    CHECK(tuned_by(layer.moe, settings).kernels[0] == &usual);
}

TEST("a tile unit that gives its bits is taken when it is fast; one that does not is excluded") {
    const Kernels &usual =
        *kernels_for(Method::mxfp4, Method::mxfp4, ds4::machine::best_isa(), Numerics::int8);
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 74);
    TestLayer layer("{\"threads\":1,\"spin_us\":0,\"calibrate\":false}", kShape, experts);
    CalibrationJob::Settings settings = settings_of({&usual});
    settings.candidates.tiles = true;
    TileKernels tiles = kDefinedTiles;
    tiles.panels = counted_panels;
    settings.tiles = &tiles;
    CHECK(tuned_by(layer.moe, settings).tile_tokens == 16);
    tiles.panels = wrong_panels;
    const Tuning tuning = tuned_by(layer.moe, settings);
    CHECK(tuning.tile_tokens == 0 && tuning.excluded.size() == 1 &&
          contains(tuning.excluded[0].reason, "sums differ"));
    for (const Trial &trial : tuning.trials) CHECK(trial.form != Form::tiles);
}

TEST("the fastest instruction set agrees with the best one to rounding, and bad options are "
     "refused with the reason") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 75);
    const std::vector<float> best = outputs_of("{\"threads\":1,\"spin_us\":0}", experts),
                             fastest = outputs_of(
                                 "{\"threads\":1,\"spin_us\":0,\"isa\":\"fastest\"}", experts);
    const std::vector<double> expected(best.begin(), best.end());
    CHECK(relative_error(fastest.data(), expected.data(), expected.size()) <= 2e-2);
    for (const auto &[options, reason] : {std::pair{"{\"calibrate\":1}", "true or false"},
                                          {"{\"calibrate\":\"no\"}", "true or false"},
                                          {"{\"fused_tokens\":17}", "expected 0..16"},
                                          {"{\"fused_tokens\":-1}", "expected 0..16"},
                                          {"{\"isa\":\"quick\"}", "auto, fastest, generic"}}) {
        CHECK(ktb_engine_create_json(options) == nullptr);
        CHECK(contains(ktb_last_error(), reason));
    }
}
