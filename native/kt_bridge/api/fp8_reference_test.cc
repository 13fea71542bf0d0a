// fp8ref against the official recipe, rounding by rounding.
#include <algorithm>
#include <cmath>

#include "api/forward_problem.h"
#include "kernels/fp8_reference.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

// One expert on one token as the recipe computes it; x: [H], already rounded.
std::vector<float> recipe_expert(const CanonicalExpert &expert, const float *x) {
    std::vector<float> intermediate(size_t(kShape.intermediate)), y(size_t(kShape.hidden));
    for (int row = 0; row < kShape.intermediate; row++) {
        double g = 0, u = 0;
        for (int k = 0; k < kShape.hidden; k++) {
            g += canonical_weight(expert, 0, row, k, kShape.hidden) * double(x[k]);
            u += canonical_weight(expert, 1, row, k, kShape.hidden) * double(x[k]);
        }
        float rounded[2] = {float(g), float(u)};
        round_to_bf16(rounded, 2);
        const double gate = std::fmin(double(rounded[0]), 10.0),
                     up = std::fmax(-10.0, std::fmin(10.0, double(rounded[1])));
        intermediate[size_t(row)] = float(gate / (1 + std::exp(-gate)) * up);
    }
    round_through_fp8(intermediate.data(), kShape.intermediate);
    for (int row = 0; row < kShape.hidden; row++) {
        double sum = 0;
        for (int k = 0; k < kShape.intermediate; k++)
            sum += canonical_weight(expert, 2, row, k, kShape.intermediate) *
                   double(intermediate[size_t(k)]);
        y[size_t(row)] = float(sum);
    }
    return y;
}

// [tokens, H] of the first tokens of the problem.
std::vector<double> recipe_forward(const Problem &given, int tokens) {
    std::vector<double> out(size_t(tokens) * size_t(kShape.hidden), 0.0);
    for (int slot = 0; slot < tokens * kShape.experts_per_token; slot++) {
        const int id = given.ids[size_t(slot)];
        if (id < 0 || id >= kShape.experts || given.weights[size_t(slot)] == 0) continue;
        const size_t token = size_t(slot / kShape.experts_per_token) * size_t(kShape.hidden);
        std::vector<float> x(given.input.begin() + long(token),
                             given.input.begin() + long(token) + kShape.hidden);
        round_through_fp8(x.data(), kShape.hidden);
        const std::vector<float> y = recipe_expert(given.experts[size_t(id)], x.data());
        for (int row = 0; row < kShape.hidden; row++) {
            float product = given.weights[size_t(slot)] * y[size_t(row)];
            round_to_bf16(&product, 1);
            out[token + size_t(row)] += double(product);
        }
    }
    return out;
}

} // namespace

TEST("fp8ref follows the roundings of the official recipe") {
    const Problem &given = problem();
    constexpr int kCount = 5;
    const std::vector<double> expected = recipe_forward(given, kCount);
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
