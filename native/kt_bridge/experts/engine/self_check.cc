// Checks the whole path (packing, planning, every kernel table of this CPU) against the f64
// reference on a small layer.
#include <cmath>

#include "api/handles.h"
#include "experts/loading/memory_source.h"
#include "experts/forward/reference.h"
#include "machine/instruction_sets.h"

namespace ds4::ktb {
namespace {

constexpr int kExperts = 4, kExpertsPerToken = 2, kHidden = 256, kIntermediate = 256, kTokens = 40;
constexpr float kLimit = 10.0f;
constexpr ExpertLayerShape kShape{kExperts, kExpertsPerToken, kHidden, kIntermediate};

double relative_error(const std::vector<float> &got, const std::vector<double> &expected) {
    double error = 0, size = 0;
    for (size_t i = 0; i < got.size(); i++) {
        const double difference = double(got[i]) - expected[i];
        error += difference * difference;
        size += expected[i] * expected[i];
    }
    return std::sqrt(error / size);
}

double allowed_error(Numerics numerics) {
    switch (numerics) {
    case Numerics::int8: return 2e-2;
    case Numerics::bf16: return 5e-3;
    case Numerics::f32: return 1e-6;
    case Numerics::fp8ref: break;
    }
    return 7e-2;
}

ExpertEngineOptions engine_options(Isa isa, Numerics numerics) {
    ExpertEngineOptions options;
    options.isa = isa;
    options.isa_selection = IsaSelection::named;
    options.calibrate = false;
    options.numerics = numerics;
    options.pool.threads = options.pool.parts = 1;
    options.pool.spin_us = 0;
    return options;
}

// Experts and pointers to them, with scales in bf16 as the pointer form takes them.
struct Pointers {
    explicit Pointers(const std::vector<CanonicalExpert> &experts) {
        widened.reserve(experts.size() * 3);
        for (const CanonicalExpert &expert : experts)
            for (int matrix = 0; matrix < 3; matrix++) {
                std::vector<uint16_t> wide;
                for (uint8_t scale : expert.scales[matrix]) wide.push_back(uint16_t(scale << 7));
                widened.push_back(std::move(wide));
                codes[matrix].push_back(expert.codes[matrix].data());
                scales[matrix].push_back(widened.back().data());
            }
    }
    std::shared_ptr<const ExpertSource> source() const {
        const void *const *const code_arrays[3] = {codes[0].data(), codes[1].data(),
                                                   codes[2].data()};
        const void *const *const scale_arrays[3] = {scales[0].data(), scales[1].data(),
                                                    scales[2].data()};
        return std::make_shared<MemorySource>(SourceShape{kShape, {}, 0}, code_arrays, scale_arrays,
                                              nullptr);
    }
    std::vector<std::vector<uint16_t>> widened;
    std::vector<const void *> codes[3], scales[3];
};

struct Routes { // inputs and routes of some tokens
    explicit Routes(int tokens)
        : input(random_values(size_t(tokens) * kHidden, 1.0f, 2)),
          weights(size_t(tokens) * kExpertsPerToken, 0.75f) {
        for (int slot = 0; slot < tokens * kExpertsPerToken; slot++)
            ids.push_back((slot * 5 + slot / 3) % kExperts);
    }
    std::vector<float> input, weights;
    std::vector<int32_t> ids;
};

void check_kernels(Isa isa, Numerics numerics, int tokens,
                   const std::vector<CanonicalExpert> &experts) {
    ExpertEngine engine(engine_options(isa, numerics));
    const std::unique_ptr<ExpertLayer> layer =
        engine.create_layer(0, LayerMethods{}, kShape, KTB_IO_F32, kLimit);
    engine.load({{layer.get(), Pointers(experts).source()}}, true);
    const Routes routes(tokens);
    std::vector<float> output(routes.input.size(), NAN);
    engine.forward({layer.get(), tokens, routes.input.data(), KTB_IO_F32, output.data(), KTB_IO_F32,
                    routes.ids.data(), false, routes.weights.data(), false, kLimit});
    engine.remove_layer(layer.get());
    const std::vector<double> expected = reference_forward(
        experts, {kHidden, kIntermediate, tokens, kExpertsPerToken, routes.input.data(),
                  routes.ids.data(), routes.weights.data(), kLimit});
    const double error = relative_error(output, expected), allowed = allowed_error(numerics);
    if (!(error <= allowed))
        fail(KTB_ERR_INTERNAL,
             "self test: %s %s with %d tokens is %g from the reference, allowed %g", isa_name(isa),
             numerics_name(numerics), tokens, error, allowed);
}

} // namespace

int self_check() {
    const std::vector<CanonicalExpert> experts =
        random_experts(kExperts, kHidden, kIntermediate, 1);
    for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512, Isa::amx})
        for (Numerics numerics : {Numerics::int8, Numerics::bf16, Numerics::fp8ref, Numerics::f32})
            for (int tokens : {1, kTokens})
                if (machine::has(isa)) check_kernels(isa, numerics, tokens, experts);
    return KTB_OK;
}

} // namespace ds4::ktb
