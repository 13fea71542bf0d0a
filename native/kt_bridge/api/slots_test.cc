// Layers that have some of their experts. They give the bits of the whole layer and refuse the
// other experts. Loads read no more than they need.
#include "api/slots_layers.h"

#include "base/test.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

constexpr Shape kShape{6, 2, 256, 512};
const std::vector<int32_t> kDecoded = {4, 0, 3};

struct Mix {
    const char *gate_up, *down;
};
constexpr Mix kMixes[] = {
    {"FP4", "FP4"}, {"MXFP4", "MXFP4"}, {"BF16", "BF16"}, {"FP8", "FP8"}, {"Q4_K", "Q2_K"}};

StoredExperts experts_of(const Mix &mix, uint64_t seed) {
    return StoredExperts(storage_named(mix.gate_up), storage_named(mix.down), kShape, seed);
}

bool all_are(const std::vector<float> &values, float expected) {
    return std::all_of(values.begin(), values.end(),
                       [&](float value) { return value == expected; });
}

} // namespace

TEST("a layer with some of its experts gives their routes the bits of the whole layer, for every "
     "method and split") {
    for (const Mix &mix : kMixes)
        for (const int parts : {1, 2, 4})
            for (const char *numerics : {"int8", "f32"}) {
                const StoredExperts experts = experts_of(mix, 61);
                TestEngine host(options_for("auto", numerics, parts, parts));
                ktb_moe_t whole = host.load(experts), some = host.load(experts, kDecoded);
                if (host.status != 0)
                    return ds4::test::record(__FILE__, __LINE__,
                                             std::string(mix.gate_up) + ": " + ktb_last_error());
                std::vector<int32_t> slots(6);
                CHECK(ktb_moe_slots(some, slots.data()) == 3 &&
                      (slots == std::vector<int32_t>{1, -1, -1, 2, 0, -1}));
                CHECK(ktb_moe_slots(whole, slots.data()) == 6 &&
                      (slots == std::vector<int32_t>{0, 1, 2, 3, 4, 5}));
                for (const int tokens : {1, 3, 20, 70}) {
                    Call call(kShape, tokens, {0, 3, 4, -1, 3, 99});
                    const std::vector<float> expected = call.run(whole);
                    CHECK(same_bits(call.run(some), expected) && call.status == 0);
                }
                for (const int32_t expert : kDecoded)
                    CHECK(packed_bytes(some, parts, expert) == packed_bytes(whole, parts, expert) &&
                          !packed_bytes(some, parts, expert).empty());
            }
}

TEST("a route to an expert that has no slot is refused by name, and nothing is written") {
    const StoredExperts experts = experts_of(kMixes[0], 62);
    TestEngine host("{\"threads\":1,\"spin_us\":0,\"max_tokens\":16}");
    ktb_moe_t moe = host.load(experts, kDecoded);
    CHECK(host.status == 0);
    Call call(kShape, 40, {0, 3, 4}); // three passes
    call.ids[77] = 5;
    std::vector<float> output(call.input.size(), 7.0f);
    const auto forward = [&](uint32_t flags) {
        return ktb_moe_forward2(moe, call.tokens, call.input.data(), KTB_IO_F32, output.data(),
                                KTB_IO_F32, call.ids.data(), call.weights.data(), flags, 10);
    };
    for (const uint32_t flags :
         {0u, uint32_t(KTB_FORWARD_INCREMENTAL), uint32_t(KTB_FORWARD_STRICT_IDS)}) {
        CHECK(forward(flags) == KTB_ERR_ARGUMENT &&
              last_error_has("layer 0: expert 5 of token 38 has no slot: 3 of 6 experts are here"));
        CHECK(all_are(output, 7.0f));
    }
    uint64_t ticket = 0;
    CHECK(ktb_moe_submit(moe, call.tokens, call.input.data(), KTB_IO_F32, output.data(), KTB_IO_F32,
                         call.ids.data(), call.weights.data(), 0, 10, &ticket) == 0);
    CHECK(ktb_engine_wait(host.engine, ticket, -1) == KTB_ERR_ARGUMENT &&
          last_error_has("expert 5"));
    CHECK(all_are(output, 7.0f));
    ktb_moe_forward_f32(moe, call.tokens, call.input.data(), output.data(), call.ids.data(),
                        call.weights.data(), false, 10);
    CHECK(last_error_has("expert 5") &&
          std::all_of(output.begin(), output.end(), [](float value) { return std::isnan(value); }));
    const std::vector<int64_t> wide(call.ids.begin(), call.ids.end());
    std::vector<uint16_t> narrow(call.input.size());
    ktb_moe_forward(moe, call.tokens, call.input.data(), narrow.data(), wide.data(),
                    call.weights.data(), false, 10);
    CHECK(
        last_error_has("expert 5") &&
        std::all_of(narrow.begin(), narrow.end(), [](uint16_t value) { return value == 0xffff; }));
    call.weights[77] = 0; // skipped, whoever it is
    CHECK(forward(0) == 0 && !std::isnan(output[0]));
}

TEST("an expert that has no slot is neither exported nor given, and one that has is exported byte "
     "for byte") {
    for (const Mix &mix : kMixes) {
        const StoredExperts experts = experts_of(mix, 63);
        TestEngine host(options_for("generic", "int8", 2, 2));
        ktb_moe_t moe = host.load(experts, kDecoded);
        const StoredValues &up = experts.values[1][3];
        std::vector<uint8_t> codes(up.data.size()), scales(up.data.size());
        CHECK(ktb_moe_export_expert(moe, 2, 3, codes.data(), codes.size(), scales.data(),
                                    scales.size()) == KTB_ERR_STATE &&
              last_error_has("expert 2 has no slot"));
        CHECK(ktb_moe_export_expert(moe, 6, 3, codes.data(), codes.size(), scales.data(),
                                    scales.size()) == KTB_ERR_ARGUMENT);
        const void *address = nullptr;
        size_t bytes = 0;
        CHECK(ktb_moe_packed(moe, 0, 2, &address, &bytes) == KTB_ERR_STATE &&
              ktb_moe_packed(moe, 2, 3, &address, &bytes) == KTB_ERR_ARGUMENT &&
              ktb_moe_packed(moe, -1, 3, &address, &bytes) == KTB_ERR_ARGUMENT);
        CHECK(ktb_moe_packed(moe, 0, 3, nullptr, &bytes) == KTB_ERR_ARGUMENT &&
              ktb_moe_packed(nullptr, 0, 3, &address, &bytes) == KTB_ERR_ARGUMENT);
        CHECK(ktb_moe_export_expert(moe, 3, 3, codes.data(), codes.size(), scales.data(),
                                    scales.size()) == KTB_OK);
        scales.resize(up.scales.size());
        if (up.format != KTB_FORMAT_MXFP4) CHECK(codes == up.data && scales == up.scales);
    }
}

TEST("the experts to keep are chosen before a load, each once, and all of them again with NULL") {
    const StoredExperts experts = experts_of(kMixes[0], 64);
    TestEngine host("{\"external\":1}");
    ktb_moe_t moe = host.add(experts);
    const auto keep = [&](const std::vector<int32_t> &ids) {
        return ktb_moe_keep_experts(moe, int(ids.size()), ids.data());
    };
    CHECK(keep({}) == KTB_ERR_ARGUMENT && last_error_has("n is 0; expected 1..6"));
    CHECK(keep({0, 1, 2, 3, 4, 5, 0}) == KTB_ERR_ARGUMENT && last_error_has("n is 7"));
    CHECK(keep({1, 6}) == KTB_ERR_ARGUMENT && last_error_has("expert 6 is outside 0..5"));
    CHECK(keep({1, -1}) == KTB_ERR_ARGUMENT && keep({2, 1, 2}) == KTB_ERR_ARGUMENT &&
          last_error_has("expert 2 is listed twice"));
    CHECK(ktb_moe_keep_experts(moe, 3, nullptr) == KTB_ERR_ARGUMENT &&
          ktb_moe_keep_experts(nullptr, 6, nullptr) == KTB_ERR_ARGUMENT);
    CHECK(ktb_moe_slots(moe, nullptr) == 6 &&
          ktb_moe_slots(nullptr, nullptr) == KTB_ERR_ARGUMENT); // nothing was changed
    std::vector<int32_t> slots(6);
    CHECK(keep({5, 2}) == 0 && ktb_moe_slots(moe, slots.data()) == 2 &&
          (slots == std::vector<int32_t>{-1, -1, 1, -1, -1, 0}));
    CHECK(host.description().find("\"slots\":[{\"layer\":0,\"slots\":2,\"experts\":6}]") !=
          std::string::npos);
    CHECK(load_kept(moe, experts) == 0 && keep({1}) == KTB_ERR_STATE &&
          last_error_has("has weights or work"));
    uint64_t done = 0, total = 0;
    CHECK(ktb_load_progress(host.engine, &done, &total) == 0 && done == total &&
          total == 2u * 3 * 256 * 512 * 17 / 32);
    CHECK(host.description().find("\"weight_bytes\":" + std::to_string(total)) !=
          std::string::npos);
    ktb_moe_t other = host.add(experts);
    CHECK(ktb_moe_keep_experts(other, 2, slots.data()) == KTB_ERR_ARGUMENT); // -1, -1
    CHECK(ktb_moe_keep_experts(other, 6, nullptr) == 0 && ktb_moe_slots(other, nullptr) == 6);
    std::vector<ktb_matrix> none(6);
    CHECK(ktb_moe_load_matrices(moe, none.data(), none.data(), none.data()) == KTB_ERR_FORMAT &&
          ktb_status(moe) == 0); // refused before the old weights go
    ktb_moe_t failed = host.add(experts);
    StoredExperts broken = experts_of(kMixes[0], 64);
    broken.values[1][3].scales[5] = 255;
    CHECK(load_kept(failed, broken) == KTB_ERR_FORMAT &&
          ktb_moe_keep_experts(failed, 3, kDecoded.data()) == 0 &&
          load_kept(failed, broken) == KTB_ERR_FORMAT); // expert 3 is among them
    const int32_t sound[] = {0, 5};
    CHECK(ktb_moe_keep_experts(failed, 2, sound) == 0 &&
          load_kept(failed, broken) == 0); // its NaN is not read
}

TEST("pointer arrays need nothing of the experts that are not kept") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 65);
    TestLayer whole(options_for("auto", "int8", 2, 2), kShape, experts);
    Call call(kShape, 9, {0, 3, 4});
    const std::vector<float> expected = call.run(whole.moe);
    CanonicalPointers pointers(experts);
    std::vector<int64_t> map = {3, 1, 2, 0, 4, 5};
    for (int matrix = 0; matrix < 3; matrix++)
        for (const size_t absent : {1, 2, 5})
            pointers.codes[matrix][absent] = pointers.scales[matrix][absent] = nullptr;
    const auto kept_layer = [&] {
        ktb_moe_t moe =
            ktb_moe_create(whole.engine, 0, kShape.experts, kShape.experts_per_token, kShape.hidden,
                           kShape.intermediate, KTB_IO_F32, KTB_MXFP4, 32, 10);
        CHECK(ktb_moe_keep_experts(moe, 3, kDecoded.data()) == 0);
        return moe;
    };
    ktb_moe_t moe = kept_layer();
    CHECK(pointers.load(moe) == 0 && same_bits(call.run(moe), expected));
    CHECK(pointers.load(moe, map.data()) == 0); // experts 0 and 3 change places
    CHECK(same_bits(Call(kShape, 1, {0}).run(moe), Call(kShape, 1, {3}).run(whole.moe)));
    map[1] = 6;
    CHECK(pointers.load(moe, map.data()) == KTB_ERR_ARGUMENT); // the map is wrong wherever it is
    ktb_moe_destroy(moe);
}

TEST("the calibration of a layer with one slot uses that expert alone and leaves its bits") {
    const Shape shape{5, 3, 384, 256}; // a kind of layer that no other test measures
    const std::vector<CanonicalExpert> experts =
        random_experts(shape.experts, shape.hidden, shape.intermediate, 66);
    for (const char *options :
         {"{\"threads\":2,\"spin_us\":0}",
          "{\"threads\":1,\"spin_us\":0,\"numerics\":\"bf16\",\"isa\":\"fastest\"}"}) {
        TestLayer plain(
            options_for("auto", std::strstr(options, "bf16") == nullptr ? "int8" : "bf16", 1, 1),
            shape, experts);
        TestEngine host(options);
        ktb_moe_t moe =
            ktb_moe_create(host.engine, 0, shape.experts, shape.experts_per_token, shape.hidden,
                           shape.intermediate, KTB_IO_F32, KTB_MXFP4, 32, 10);
        host.layers.push_back(moe);
        const int32_t kept = 3;
        CHECK(ktb_moe_keep_experts(moe, 1, &kept) == 0 &&
              CanonicalPointers(experts).load(moe) == 0);
        CHECK(std::strcmp(usable_isas().back(), "generic") == 0 ||
              host.description().find("\"trials\":[{") != std::string::npos);
        Call call(shape, 20, {3});
        const std::vector<float> expected = call.run(plain.moe), got = call.run(moe);
        if (std::strstr(options, "fastest") == nullptr)
            CHECK(same_bits(got, expected));
        else
            CHECK(relative_error(got.data(),
                                 std::vector<double>(expected.begin(), expected.end()).data(),
                                 got.size()) <= 1e-2);
    }
}
