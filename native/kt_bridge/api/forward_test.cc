// Forwards through the C ABI against the f64 reference.
#include <cstring>

#include "api/forward_problem.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

void check_all_sizes(const char *isa, const char *numerics, int parts) {
    const Problem &given = problem();
    TestLayer layer(options_for(isa, numerics, parts, std::max(2, parts)), kShape, given.experts);
    CHECK(layer.ready);
    for (int tokens : {0, 1, 2, 7, 8, 9, 31, 47, 512}) {
        if (tokens > kTokens || (std::string(isa) == "generic" && tokens > 47)) continue;
        const std::vector<float> output =
            layer.forward(tokens, given.input.data(), given.ids.data(), given.weights.data());
        CHECK(layer.status == 0);
        if (tokens == 0) continue;
        const double error = relative_error(output.data(), given.expected.data(), output.size());
        if (!(error <= tolerance(numerics)))
            ds4::test::record(__FILE__, __LINE__,
                              std::string(isa) + " " + numerics + " parts " +
                                  std::to_string(parts) + " tokens " + std::to_string(tokens) +
                                  ": error " + std::to_string(error));
    }
}

} // namespace

TEST("every instruction set, numerics, part count and token count agrees with float64") {
    for (const char *isa : usable_isas())
        for (const char *numerics : {"int8", "bf16", "fp8ref"})
            for (int parts : {1, 2, 3, 8}) check_all_sizes(isa, numerics, parts);
}

TEST("the real dimensions of Flash and Pro agree with float64, decoding and grouped") {
    if (ds4::test::kThreadSanitizer) return; // the small shapes take the same code
    for (const Shape &shape : {Shape{2, 2, 4096, 2048}, Shape{2, 2, 7168, 3072}}) {
        const std::vector<CanonicalExpert> experts =
            random_experts(shape.experts, shape.hidden, shape.intermediate, 51);
        const int tokens = 12;
        const std::vector<float> input =
                                     random_values(size_t(tokens) * size_t(shape.hidden), 1.0f, 52),
                                 weights(size_t(tokens) * 2, 0.5f);
        std::vector<int32_t> ids;
        for (int slot = 0; slot < 2 * tokens; slot++) ids.push_back(slot % 3 == 2 ? -1 : slot % 2);
        const std::vector<double> expected =
            reference_forward(experts, {shape.hidden, shape.intermediate, tokens, 2, input.data(),
                                        ids.data(), weights.data(), 10});
        for (const char *numerics : {"int8", "bf16"})
            for (int parts : {1, 3}) {
                TestLayer layer(options_for("auto", numerics, parts, 3), shape, experts);
                for (int count : {1, tokens}) {
                    const std::vector<float> output =
                        layer.forward(count, input.data(), ids.data(), weights.data());
                    CHECK(relative_error(output.data(), expected.data(), output.size()) <=
                          tolerance(numerics));
                }
            }
    }
}

TEST("parts and instruction sets change the sums by rounding only") {
    const Problem &given = problem();
    for (const char *numerics : {"int8", "bf16"})
        for (int tokens : {1, 8, 47}) {
            std::vector<double> first;
            const bool is_int8 = std::string(numerics) ==
                                 "int8"; // which tile kernels do not have: there it means bf16
            for (const char *isa : usable_isas())
                for (int parts : {1, 2, 4, 8}) {
                    TestLayer layer(options_for(isa, numerics, parts, 8), kShape, given.experts);
                    const std::vector<float> output = layer.forward(
                        tokens, given.input.data(), given.ids.data(), given.weights.data());
                    if (first.empty()) first.assign(output.begin(), output.end());
                    CHECK(relative_error(output.data(), first.data(), output.size()) <=
                          (is_int8 && std::string(isa) == "amx" ? 2e-2 : 1e-3));
                }
        }
}

TEST("calls longer than max_tokens are split without a seam") {
    const Problem &given = problem();
    TestLayer whole("{\"threads\":2,\"nodes\":[0],\"spin_us\":0}", kShape, given.experts);
    TestLayer split("{\"threads\":2,\"nodes\":[0],\"max_tokens\":19,\"spin_us\":0}", kShape,
                    given.experts);
    const std::vector<float> a =
        whole.forward(47, given.input.data(), given.ids.data(), given.weights.data());
    const std::vector<float> b =
        split.forward(47, given.input.data(), given.ids.data(), given.weights.data());
    CHECK(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

TEST("the limit of the call clamps gate and up on both sides, and 0 disables it") {
    const Problem &given = problem();
    std::vector<float> large(given.input.begin(), given.input.begin() + 9 * kShape.hidden);
    for (float &value : large) value *= 12;
    const ReferenceRequest request{
        kShape.hidden,    kShape.intermediate,  9, kShape.experts_per_token, large.data(),
        given.ids.data(), given.weights.data(), 0};
    const std::vector<double> free = reference_forward(given.experts, request);
    for (double limit : {0.0, 0.5, 10.0}) {
        ReferenceRequest clamped = request;
        clamped.limit = limit;
        const std::vector<double> expected = reference_forward(given.experts, clamped);
        for (const char *isa : usable_isas())
            for (const char *numerics : {"int8", "bf16"})
                for (int tokens : {1, 9}) {
                    TestLayer layer(options_for(isa, numerics, 1, 2), kShape, given.experts,
                                    3.0f); // not the limit of creation
                    const std::vector<float> output = layer.forward(
                        tokens, large.data(), given.ids.data(), given.weights.data(), float(limit));
                    const double error =
                        relative_error(output.data(), expected.data(), output.size());
                    // far below the size of g and u the limit keeps their errors and takes their
                    // size away
                    if (!(error <= tolerance(numerics) * (limit == 0.5 ? 4 : 1)))
                        ds4::test::record(__FILE__, __LINE__,
                                          std::string(isa) + " " + numerics + " limit " +
                                              std::to_string(limit) + ": error " +
                                              std::to_string(error));
                    if (limit > 0)
                        CHECK(relative_error(output.data(), free.data(), output.size()) >
                              0.3); // the clamp was active
                }
    }
}

TEST("all tokens on one expert, and experts without tokens") {
    const Problem &given = problem();
    const int tokens = ds4::test::kThreadSanitizer ? 20 : 300; // more than one panel of 256
    std::vector<int32_t> ids(size_t(tokens) * size_t(kShape.experts_per_token), -1);
    for (int token = 0; token < tokens; token++) ids[size_t(token * kShape.experts_per_token)] = 4;
    const std::vector<double> expected = reference_forward(
        given.experts, {kShape.hidden, kShape.intermediate, tokens, kShape.experts_per_token,
                        given.input.data(), ids.data(), given.weights.data(), 10});
    for (const char *numerics : {"int8", "bf16"}) {
        TestLayer layer(options_for("auto", numerics, 2, 2), kShape, given.experts);
        const std::vector<float> output =
            layer.forward(tokens, given.input.data(), ids.data(), given.weights.data());
        CHECK(relative_error(output.data(), expected.data(), output.size()) <= tolerance(numerics));
    }
}
