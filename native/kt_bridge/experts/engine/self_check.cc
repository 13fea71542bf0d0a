// The whole path (packing, planning, every kernel table of this CPU) against the f64 reference on a
// small layer.
#include <cmath>

#include "api/handles.h"
#include "experts/loading/memory_source.h"
#include "experts/forward/reference.h"
#include "machine/instruction_sets.h"

namespace ds4::ktb {
namespace {

constexpr int kExperts = 4, kExpertsPerToken = 2, kHidden = 256, kIntermediate = 256, kTokens = 40;
constexpr float kLimit = 10.0f;

double relative_error(const std::vector<float> &got, const std::vector<double> &expected) {
    double error = 0, size = 0;
    for (size_t i = 0; i < got.size(); i++) {
        const double difference = double(got[i]) - expected[i];
        error += difference * difference;
        size += expected[i] * expected[i];
    }
    return std::sqrt(error / size);
}

void check_kernels(Isa isa, Numerics numerics, int tokens,
                   const std::vector<CanonicalExpert> &experts) {
    ExpertEngineOptions options;
    options.isa = isa;
    options.isa_selection = IsaSelection::named;
    options.calibrate = false;
    options.numerics = numerics;
    options.pool.threads = options.pool.parts = 1;
    options.pool.spin_us = 0;
    ExpertEngine engine(options);
    const ExpertLayerShape shape{kExperts, kExpertsPerToken, kHidden, kIntermediate};
    const std::unique_ptr<ExpertLayer> layer =
        engine.create_layer(0, LayerMethods{}, shape, KTB_IO_F32, kLimit);

    std::vector<std::vector<uint16_t>> widened; // scales as the pointer form takes them
    std::vector<const void *> codes[3], scales[3];
    widened.reserve(size_t(kExperts) * 3);
    for (const CanonicalExpert &expert : experts)
        for (int matrix = 0; matrix < 3; matrix++) {
            std::vector<uint16_t> wide;
            for (uint8_t scale : expert.scales[matrix]) wide.push_back(uint16_t(scale << 7));
            widened.push_back(std::move(wide));
            codes[matrix].push_back(expert.codes[matrix].data());
            scales[matrix].push_back(widened.back().data());
        }
    const void *const *code_arrays[3] = {codes[0].data(), codes[1].data(), codes[2].data()};
    const void *const *scale_arrays[3] = {scales[0].data(), scales[1].data(), scales[2].data()};
    engine.load({{layer.get(), std::make_shared<MemorySource>(SourceShape{shape, {}, 0},
                                                              code_arrays, scale_arrays, nullptr)}},
                true);

    const std::vector<float> input = random_values(size_t(tokens) * kHidden, 1.0f, 2);
    const std::vector<float> weights(size_t(tokens) * kExpertsPerToken, 0.75f);
    std::vector<int32_t> ids;
    for (int slot = 0; slot < tokens * kExpertsPerToken; slot++)
        ids.push_back((slot * 5 + slot / 3) % kExperts);
    std::vector<float> output(input.size(), NAN);
    engine.wait(
        engine.submit_forward({layer.get(), tokens, input.data(), KTB_IO_F32, output.data(),
                               KTB_IO_F32, ids.data(), false, weights.data(), false, kLimit}),
        -1);
    engine.remove_layer(layer.get());

    const std::vector<double> expected =
        reference_forward(experts, {kHidden, kIntermediate, tokens, kExpertsPerToken, input.data(),
                                    ids.data(), weights.data(), kLimit});
    const double error = relative_error(output, expected);
    const double allowed = numerics == Numerics::int8   ? 2e-2
                           : numerics == Numerics::bf16 ? 5e-3
                           : numerics == Numerics::f32  ? 1e-6
                                                        : 7e-2;
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
