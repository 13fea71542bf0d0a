// Every storage format through the C ABI: arithmetic against f64, export, refusals.
#include <algorithm>

#include "api/method_experts.h"
#include "base/test.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

constexpr Shape kShape{4, 2, 256, 512};
constexpr int kMost = ds4::test::kThreadSanitizer ? 47 : 512;

double allowed_error(const std::string &numerics) {
    if (numerics == "f32") return 1e-6;
    return numerics == "int8" ? 2e-2 : numerics == "bf16" ? 5e-3 : 7e-2;
}

// Routes of `tokens` tokens. Expert 3 is unused, one id is outside, one weight is 0, and then every
// token has expert 1 twice.
struct Routes {
    explicit Routes(int tokens)
        : input(random_values(size_t(tokens) * size_t(kShape.hidden), 1.0f, 7)),
          weights(size_t(tokens) * 2, 0.5f) {
        for (int slot = 0; slot < tokens * 2; slot++)
            ids.push_back(slot < 40 ? (slot * 5 + slot / 3) % 3 : 1);
        for (size_t slot = 0; slot < weights.size(); slot++)
            weights[slot] = 0.25f + 0.125f * float(slot % 5);
        if (tokens > 8) ids[9] = 77, ids[10] = -1, weights[11] = 0;
    }
    std::vector<float> input, weights;
    std::vector<int32_t> ids;
};

void check_forward(const StoredExperts &experts, const Routes &routes,
                   const std::vector<double> &expected, float limit, const char *isa,
                   const std::string &numerics) {
    StoredLayer layer(options_for(isa, numerics.c_str(), 2, 2), experts);
    if (layer.status != 0)
        return ds4::test::record(__FILE__, __LINE__,
                                 std::string(experts.storage.name) + ": " + ktb_last_error());
    for (int tokens : {0, 1, 2, 7, 8, 9, 31, kMost}) {
        if (tokens == kMost && std::string(isa) == "generic")
            continue; // slow, and the same code as for 31
        const std::vector<float> output = layer.forward(
            tokens, routes.input.data(), routes.ids.data(), routes.weights.data(), limit);
        if (layer.status != 0)
            ds4::test::record(__FILE__, __LINE__, std::string("forward: ") + ktb_last_error());
        const double error =
            tokens == 0 ? 0 : relative_error(output.data(), expected.data(), output.size());
        if (!(error <= allowed_error(numerics)))
            ds4::test::record(__FILE__, __LINE__,
                              std::string(experts.storage.name) + "/" + experts.down.name + " " +
                                  isa + " " + numerics + " with " + std::to_string(tokens) +
                                  " tokens: " + std::to_string(error * 1e6) + "e-6");
    }
}

void check_storage(const StorageCase &storage, const StorageCase &down) {
    const StoredExperts experts(storage, down, kShape, 11);
    const Routes routes(kMost);
    for (float limit : {0.0f, 0.75f}) { // 0.75: both clamps are active
        const std::vector<double> expected = experts.reference(
            {kShape.hidden, kShape.intermediate, limit > 0 ? 31 : kMost, kShape.experts_per_token,
             routes.input.data(), routes.ids.data(), routes.weights.data(), limit});
        for (const char *isa : usable_isas())
            for (const char *numerics : {"int8", "bf16", "fp8ref", "f32"}) {
                if (limit > 0 && std::string(numerics) != "f32")
                    continue; // the clamps are the same code in all
                if (limit > 0) {
                    StoredLayer layer(options_for(isa, numerics, 1, 1), experts);
                    const std::vector<float> output = layer.forward(
                        31, routes.input.data(), routes.ids.data(), routes.weights.data(), limit);
                    CHECK(relative_error(output.data(), expected.data(), output.size()) <=
                          allowed_error(numerics));
                    continue;
                }
                check_forward(experts, routes, expected, limit, isa, numerics);
            }
    }
}

const StorageCase &storage_named(const char *name) {
    return *std::find_if(
        std::begin(kStorageCases), std::end(kStorageCases),
        [&](const StorageCase &storage) { return std::strcmp(storage.name, name) == 0; });
}

} // namespace

TEST("every storage format agrees with f64 over its decoded values, in every instruction set, "
     "numerics and token count") {
    for (const StorageCase &storage : kStorageCases) check_storage(storage, storage);
}

TEST("gate and up of IQ2_XXS with down of Q2_K or Q4_K agree with f64") {
    check_storage(storage_named("IQ2_XXS"), storage_named("Q2_K"));
    check_storage(storage_named("Q2_K"), storage_named("Q4_K"));
}

TEST("a call of 4096 tokens in passes of 1000 has the values of short calls") {
    const Shape shape{2, 1, 256, 256};
    for (const char *name : {"Q4_K", "FP8"}) {
        const StoredExperts experts(storage_named(name), storage_named(name), shape, 4);
        StoredLayer layer("{\"threads\":2,\"numerics\":\"f32\",\"max_tokens\":1000,\"spin_us\":0}",
                          experts);
        const std::vector<float> input = random_values(4096u * 256, 1.0f, 9), weights(4096, 1.0f);
        std::vector<int32_t> ids;
        for (int token = 0; token < 4096; token++) ids.push_back(token % 2);
        const std::vector<float> output =
            layer.forward(4096, input.data(), ids.data(), weights.data(), 10);
        CHECK(layer.status == 0);
        for (int first : {0, 999, 1000, 4090}) {
            const std::vector<double> expected =
                experts.reference({256, 256, 6, 1, input.data() + first * 256, ids.data() + first,
                                   weights.data() + first, 10});
            CHECK(relative_error(output.data() + first * 256, expected.data(), expected.size()) <=
                  1e-6);
        }
    }
}

TEST("export gives every format's bytes back, over one part and over two") {
    for (const StorageCase &storage : kStorageCases)
        for (int parts : {1, 2}) {
            const StoredExperts experts(storage, storage, kShape, 21);
            StoredLayer layer(options_for("generic", "int8", parts, parts), experts);
            for (int which = 1; which <= 3; which++) {
                const StoredValues &stored = experts.values[which == 1 ? 0 : which == 2 ? 2 : 1][2];
                std::vector<uint8_t> expected = stored.data, expected_scales = stored.scales;
                if (storage.format == KTB_FORMAT_MXFP4) { // canonical is the official order
                    expected.resize(stored.data.size() / 17 * 16),
                        expected_scales.resize(stored.data.size() / 17);
                    for (int row = 0; row < stored.rows; row++)
                        for (int i = 0; i < stored.columns; i++) {
                            const size_t block =
                                             (size_t(row) * size_t(stored.columns) + size_t(i)) /
                                             32,
                                         at = size_t(row) * size_t(stored.columns) + size_t(i);
                            const uint8_t code = uint8_t(
                                stored.data[block * 17 + 1 + size_t(i % 16)] >> (i % 32 / 16 * 4) &
                                15);
                            expected[at / 2] =
                                uint8_t(i % 2 == 0 ? code : expected[at / 2] | code << 4);
                            expected_scales[block] = stored.data[block * 17];
                        }
                }
                std::vector<uint8_t> codes(expected.size(), 1), scales(expected_scales.size(), 1);
                CHECK(ktb_moe_export_expert(layer.moe, 2, which, codes.data(), codes.size(),
                                            scales.data(), scales.size()) == KTB_OK);
                CHECK(codes == expected && scales == expected_scales);
                CHECK(ktb_moe_export_expert(layer.moe, 2, which, codes.data(), codes.size() - 1,
                                            scales.data(), scales.size()) == KTB_ERR_ARGUMENT);
            }
        }
}

TEST("a value or scale that is no number fails the load of every format and names the matrix") {
    for (const StorageCase &storage : kStorageCases) {
        StoredExperts experts(storage, storage, kShape, 31);
        StoredLayer layer(options_for("generic", "int8", 1, 1), experts);
        StoredValues &broken = experts.values[1][3]; // up of expert 3
        const auto set_half = [&](size_t at) {
            broken.data[at] = 0x00, broken.data[at + 1] = 0x7c;
        };
        switch (storage.format) {
        case KTB_FORMAT_FP4: broken.scales[5] = 255; break;
        case KTB_FORMAT_MXFP4: broken.data[17 * 9] = 255; break;
        case KTB_FORMAT_BF16: broken.data[100] = 0xc0, broken.data[101] = 0x7f; break;
        case KTB_FORMAT_FP8: broken.scales[1] = 255; break;
        case KTB_FORMAT_FP8_F32: broken.data[1234] = 0xff; break;
        case KTB_FORMAT_FP8_ROWS: broken.scales[6] = 0x80, broken.scales[7] = 0x7f; break;
        case KTB_FORMAT_Q8_0: set_half(34 * 3); break;
        case KTB_FORMAT_Q2_K: set_half(84 + 82); break;
        case KTB_FORMAT_Q4_K: set_half(144 * 2 + 2); break;
        default: set_half(66);
        }
        CHECK(experts.load(layer.moe) == KTB_ERR_FORMAT);
        CHECK(std::strstr(ktb_last_error(), "expert 3 w3") != nullptr);
        CHECK(ktb_status(layer.moe) == KTB_ERR_FORMAT);
    }
}

TEST("widths that a method's blocks do not divide and methods whose activations differ are refused "
     "at creation") {
    ktb_engine_t engine = ktb_engine_create_json("{\"threads\":1}");
    const auto refused = [&](int hidden, int intermediate, ktb_method_t method, ktb_method_t down,
                             const char *text) {
        CHECK(ktb_moe_create_mixed(engine, 0, 4, 2, hidden, intermediate, KTB_IO_F32, method, down,
                                   10) == nullptr);
        CHECK(std::strstr(ktb_last_error(), text) != nullptr);
    };
    refused(384, 256, KTB_Q4_K, KTB_Q4_K, "hidden_size is 384; Q4_K needs a multiple of 256");
    refused(256, 128, KTB_Q8_0, KTB_Q2_K, "intermediate_size is 128; Q2_K needs a multiple of 256");
    refused(256, 256, KTB_MXFP4, KTB_Q8_0, "MXFP4 cannot be mixed with Q8_0");
    refused(256, 256, KTB_Q8_0, KTB_FP8, "Q8_0 cannot be mixed with FP8");
    refused(256, 256, KTB_Q8_0, KTB_AMXINT4, "method 6 is not implemented");
    ktb_engine_destroy(engine);
}

TEST("pointer arrays hold FP8 with f32 scales, FP8 per channel and BF16 as the header says") {
    for (const char *name : {"FP8_F32", "FP8_ROWS", "BF16", "Q4_K"}) {
        const StoredExperts experts(storage_named(name), storage_named(name), kShape, 41);
        StoredLayer layer(options_for("auto", "f32", 1, 1), experts);
        const Routes routes(5);
        const std::vector<float> expected =
            layer.forward(5, routes.input.data(), routes.ids.data(), routes.weights.data(), 10);
        std::vector<const void *> codes[3], scales[3];
        for (int matrix = 0; matrix < 3; matrix++)
            for (const StoredValues &stored : experts.values[matrix])
                codes[matrix].push_back(stored.data.data()),
                    scales[matrix].push_back(stored.scales.data());
        const bool scaled = !experts.values[0][0].scales.empty();
        const auto scales_of = [&](int matrix) { return scaled ? scales[matrix].data() : nullptr; };
        CHECK(ktb_moe_load_weights_ptrs(layer.moe, 0, codes[0].data(), scales_of(0),
                                        codes[1].data(), scales_of(1), codes[2].data(),
                                        scales_of(2), nullptr) == KTB_OK);
        CHECK(layer.forward(5, routes.input.data(), routes.ids.data(), routes.weights.data(), 10) ==
              expected);
        if (scaled)
            CHECK(ktb_moe_load_weights_ptrs(layer.moe, 0, codes[0].data(), nullptr, codes[1].data(),
                                            nullptr, codes[2].data(), nullptr,
                                            nullptr) == KTB_ERR_ARGUMENT);
    }
}
