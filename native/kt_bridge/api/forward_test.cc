// Forwards through the C ABI against the f64 reference.
#include <algorithm>
#include <cstring>

#include "api/test_layer.h"
#include "base/test.h"
#include "kernels/fp8_reference.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

constexpr int kTokens = ds4::test::kThreadSanitizer ? 47 : 512;
constexpr Shape kShape{6, 3, 256, 1024}; // eight split units: each of eight parts has one

// Expert 5 is never chosen, some routes are skipped (-1, E, weight 0), some ids repeat within a
// token.
struct Problem {
    std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 11);
    std::vector<float> input = random_values(size_t(kTokens) * size_t(kShape.hidden), 2.0f, 12);
    std::vector<float> weights =
        random_values(size_t(kTokens) * size_t(kShape.experts_per_token), 0.5f, 13);
    std::vector<int32_t> ids;
    std::vector<double> expected;
    Problem() {
        for (int slot = 0; slot < kTokens * kShape.experts_per_token; slot++) {
            const int token = slot / kShape.experts_per_token;
            int id = (slot * 7 + token / 3) % 5;
            if (slot % 11 == 3) id = -1;
            if (slot % 17 == 5) id = kShape.experts;
            if (slot % 13 == 1) weights[size_t(slot)] = 0;
            if (token % 5 == 2) id = 1; // one expert three times
            ids.push_back(id);
        }
        expected = reference_forward(experts, {kShape.hidden, kShape.intermediate, kTokens,
                                               kShape.experts_per_token, input.data(), ids.data(),
                                               weights.data(), 10});
    }
};
const Problem &problem() {
    static const Problem made;
    return made;
}

double tolerance(const std::string &numerics) {
    return numerics == "int8" ? 2e-2 : numerics == "bf16" ? 5e-3 : 7e-2;
}

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

TEST("fp8ref follows the roundings of the official recipe") {
    const Problem &given = problem();
    constexpr int kCount = 5;
    std::vector<double> expected(size_t(kCount) * size_t(kShape.hidden), 0.0);
    for (int slot = 0; slot < kCount * kShape.experts_per_token; slot++) {
        const int id = given.ids[size_t(slot)];
        if (id < 0 || id >= kShape.experts || given.weights[size_t(slot)] == 0) continue;
        const CanonicalExpert &expert = given.experts[size_t(id)];
        const size_t token = size_t(slot / kShape.experts_per_token) * size_t(kShape.hidden);
        std::vector<float> x(given.input.begin() + long(token),
                             given.input.begin() + long(token) + kShape.hidden),
            intermediate(size_t(kShape.intermediate));
        round_through_fp8(x.data(), kShape.hidden);
        for (int row = 0; row < kShape.intermediate; row++) {
            double g = 0, u = 0;
            for (int k = 0; k < kShape.hidden; k++) {
                g += canonical_weight(expert, 0, row, k, kShape.hidden) * double(x[size_t(k)]);
                u += canonical_weight(expert, 1, row, k, kShape.hidden) * double(x[size_t(k)]);
            }
            float rounded[2] = {float(g), float(u)};
            round_to_bf16(rounded, 2);
            const double gate = std::fmin(double(rounded[0]), 10.0),
                         up = std::fmax(-10.0, std::fmin(10.0, double(rounded[1])));
            intermediate[size_t(row)] = float(gate / (1 + std::exp(-gate)) * up);
        }
        round_through_fp8(intermediate.data(), kShape.intermediate);
        for (int row = 0; row < kShape.hidden; row++) {
            double y = 0;
            for (int k = 0; k < kShape.intermediate; k++)
                y += canonical_weight(expert, 2, row, k, kShape.intermediate) *
                     double(intermediate[size_t(k)]);
            float product = given.weights[size_t(slot)] * float(y);
            round_to_bf16(&product, 1);
            expected[token + size_t(row)] += double(product);
        }
    }
    for (const char *isa : usable_isas())
        for (int parts : {1, 3, 8}) {
            TestLayer layer(options_for(isa, "fp8ref", parts, 8), kShape, given.experts);
            const std::vector<float> output =
                layer.forward(kCount, given.input.data(), given.ids.data(), given.weights.data());
            CHECK(relative_error(output.data(), expected.data(), output.size()) <=
                  3e-3); // a flipped rounding here and there
        }
}

TEST("E4M3 rounding: ties to even, subnormals, the scale's power of two") {
    std::vector<float> x(128, 0.0f);
    const float values[] = {448, 17, 19, 0.0078125f, 0.0009765625f, 0.0029296875f, -17};
    const float wanted[] = {448, 16, 20, 0.0078125f, 0, 0.00390625f, -16};
    std::copy(values, values + 7, x.begin());
    round_through_fp8(x.data(), 128); // amax 448: scale 1
    for (size_t i = 0; i < 7; i++) CHECK(x[i] == wanted[i]);
    std::fill(x.begin(), x.end(), 0.0f);
    x[0] = 450, x[1] = 34; // scale 2
    round_through_fp8(x.data(), 128);
    CHECK(x[0] == 448 && x[1] == 32);
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

TEST("with every route skipped the output is zero, or unchanged when incremental") {
    const Problem &given = problem();
    for (int parts : {1, 3})
        for (int tokens : {1, 10}) {
            TestLayer layer(options_for("auto", "int8", parts, 3), kShape, given.experts);
            const std::vector<int32_t> ids(size_t(tokens) * size_t(kShape.experts_per_token), -1);
            const std::vector<float> output =
                layer.forward(tokens, given.input.data(), ids.data(), given.weights.data());
            for (float value : output) CHECK(value == 0);
            std::vector<float> kept(output.size(), 3.25f);
            CHECK(ktb_moe_forward2(layer.moe, tokens, given.input.data(), KTB_IO_F32, kept.data(),
                                   KTB_IO_F32, ids.data(), given.weights.data(),
                                   KTB_FORWARD_INCREMENTAL, 10) == 0);
            for (float value : kept) CHECK(value == 3.25f);
        }
}

TEST("incremental adds in f32 before the final rounding") {
    const Problem &given = problem();
    TestLayer layer(options_for("auto", "bf16", 1, 2), kShape, given.experts);
    for (int tokens : {1, 9}) {
        const std::vector<float> plain =
            layer.forward(tokens, given.input.data(), given.ids.data(), given.weights.data());
        std::vector<float> added(plain.size(), 1.5f);
        CHECK(ktb_moe_forward2(layer.moe, tokens, given.input.data(), KTB_IO_F32, added.data(),
                               KTB_IO_F32, given.ids.data(), given.weights.data(),
                               KTB_FORWARD_INCREMENTAL, 10) == 0);
        for (size_t i = 0; i < plain.size(); i++) CHECK(added[i] == plain[i] + 1.5f);
        std::vector<uint16_t> narrow(plain.size()), wanted(plain.size());
        std::vector<float> start(plain.size(), 0.75f);
        ktb_convert_f32_to_bf16(start.data(), narrow.data(), start.size());
        CHECK(ktb_moe_forward2(layer.moe, tokens, given.input.data(), KTB_IO_F32, narrow.data(),
                               KTB_IO_BF16, given.ids.data(), given.weights.data(),
                               KTB_FORWARD_INCREMENTAL, 10) == 0);
        for (size_t i = 0; i < plain.size(); i++) start[i] += plain[i];
        ktb_convert_f32_to_bf16(start.data(), wanted.data(), start.size());
        CHECK(narrow == wanted);
    }
}

TEST("the published forwards equal the status-returning one, with 64-bit ids and bf16 too") {
    const Problem &given = problem();
    TestLayer layer(options_for("auto", "int8", 2, 2), kShape, given.experts);
    const int tokens = 9;
    const size_t values = size_t(tokens) * size_t(kShape.hidden);
    const std::vector<float> expected =
        layer.forward(tokens, given.input.data(), given.ids.data(), given.weights.data());
    std::vector<float> output(values, NAN);
    ktb_moe_forward_f32(layer.moe, tokens, given.input.data(), output.data(), given.ids.data(),
                        given.weights.data(), false, 10);
    CHECK(output == expected);

    std::vector<uint16_t> narrow(values), narrow_output(values, 0xffff), wanted(values);
    std::vector<float> rounded(values), from_rounded;
    ktb_convert_f32_to_bf16(given.input.data(), narrow.data(), values);
    ktb_convert_bf16_to_f32(narrow.data(), rounded.data(), values);
    from_rounded = layer.forward(tokens, rounded.data(), given.ids.data(), given.weights.data());
    ktb_convert_f32_to_bf16(from_rounded.data(), wanted.data(), values);
    const std::vector<int64_t> wide(given.ids.begin(),
                                    given.ids.begin() + tokens * kShape.experts_per_token);
    ktb_moe_forward(layer.moe, tokens, narrow.data(), narrow_output.data(), wide.data(),
                    given.weights.data(), false, 10);
    CHECK(narrow_output == wanted);
}

TEST("NaN and infinite inputs spoil their own token and no other") {
    const Problem &given = problem();
    for (const char *isa : usable_isas())
        for (const char *numerics : {"int8", "bf16", "fp8ref"})
            for (int tokens : {2, 9}) {
                TestLayer layer(options_for(isa, numerics, 1, 2), kShape, given.experts);
                std::vector<int32_t> ids(size_t(tokens) * size_t(kShape.experts_per_token), 0);
                std::vector<float> input(given.input.begin(),
                                         given.input.begin() + tokens * kShape.hidden);
                const std::vector<float> clean =
                    layer.forward(tokens, input.data(), ids.data(), given.weights.data());
                input[3] = NAN;
                input[40] = INFINITY;
                const std::vector<float> output =
                    layer.forward(tokens, input.data(), ids.data(), given.weights.data());
                bool first_spoiled = true;
                for (int i = 0; i < kShape.hidden; i++)
                    first_spoiled = first_spoiled && std::isnan(output[size_t(i)]);
                CHECK(first_spoiled);
                CHECK(std::memcmp(&output[size_t(kShape.hidden)], &clean[size_t(kShape.hidden)],
                                  size_t(tokens - 1) * size_t(kShape.hidden) * 4) == 0);
            }
}

TEST("unaligned buffers work") {
    const Problem &given = problem();
    TestLayer layer(options_for("auto", "int8", 1, 2), kShape, given.experts);
    const size_t bytes = size_t(kShape.hidden) * 4;
    std::vector<uint8_t> input(bytes + 4), output(bytes + 4);
    std::memcpy(input.data() + 4, given.input.data(), bytes);
    const std::vector<float> expected =
        layer.forward(1, given.input.data(), given.ids.data(), given.weights.data());
    CHECK(ktb_moe_forward2(layer.moe, 1, input.data() + 4, KTB_IO_F32, output.data() + 4,
                           KTB_IO_F32, given.ids.data(), given.weights.data(), 0, 10) == 0);
    CHECK(std::memcmp(output.data() + 4, expected.data(), bytes) == 0);
}
