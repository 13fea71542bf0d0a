// Forwards with skipped routes, incremental sums, both forms of arguments, and values that are no
// numbers.
#include <cmath>
#include <cstring>

#include "api/forward_problem.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

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

TEST("the forwards of part 1 equal the one with a status, with 64-bit ids and bf16 too") {
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
