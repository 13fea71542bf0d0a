// The recorded mixture-of-experts layer (computed by an independent implementation) through the C
// ABI.
#include "api/test_layer.h"
#include "base/test.h"
#include "base/test_vectors.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

constexpr Shape kShape{5, 3, 256, 512};
constexpr int kTokens = 11;

std::vector<CanonicalExpert> recorded_experts(const ds4::test::VectorFile &file) {
    std::vector<CanonicalExpert> experts(5);
    for (int id = 0; id < 5; id++)
        for (int matrix = 0; matrix < 3; matrix++) {
            const std::string name = "ffn.experts." + std::to_string(id) + "." +
                                     std::string(matrix == 0   ? "w1"
                                                 : matrix == 1 ? "w3"
                                                               : "w2");
            const auto &codes = file[name + ".weight"].bytes, &scales = file[name + ".scale"].bytes;
            experts[size_t(id)].codes[matrix].assign(codes.begin(), codes.end());
            experts[size_t(id)].scales[matrix].assign(scales.begin(), scales.end());
        }
    return experts;
}

} // namespace

TEST("the recorded layer's routed outputs, score and hash routed, in every mode") {
    const ds4::test::VectorFile file("unit/moe.safetensors");
    const std::vector<CanonicalExpert> experts = recorded_experts(file);
    for (const char *isa : usable_isas())
        for (const char *numerics : {"int8", "bf16"})
            for (int parts : {1, 2, 4}) {
                TestLayer layer(options_for(isa, numerics, parts, 4), kShape, experts);
                CHECK(layer.ready);
                for (const char *routing : {"score", "hash"})
                    for (int tokens : {5, kTokens}) { // the fused path and the grouped one
                        const std::string prefix = routing;
                        const std::vector<float> output =
                            layer.forward(tokens, file["x"].floats(), file[prefix + ".ids"].ints(),
                                          file[prefix + ".weights"].floats());
                        const float *recorded = file[prefix + ".routed_out"].floats();
                        const std::vector<double> expected(recorded, recorded + output.size());
                        CHECK(relative_error(output.data(), expected.data(), output.size()) <=
                              (std::string(numerics) == "int8" ? 2e-2 : 5e-3));
                    }
            }
}

TEST("the float64 reference itself agrees with the recorded layer to f32 rounding") {
    const ds4::test::VectorFile file("unit/moe.safetensors");
    const std::vector<double> expected = reference_forward(
        recorded_experts(file), {256, 512, kTokens, 3, file["x"].floats(), file["score.ids"].ints(),
                                 file["score.weights"].floats(), 10});
    CHECK(relative_error(file["score.routed_out"].floats(), expected.data(), expected.size()) <=
          1e-5);
}
