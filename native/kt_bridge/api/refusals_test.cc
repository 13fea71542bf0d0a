// Arguments that the C ABI refuses, with the reason.
#include <cmath>
#include <cstring>

#include "api/test_call.h"
#include "base/test.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

TEST("null handles are refused, except by destroy and close") {
    ktb_engine_destroy(nullptr);
    ktb_moe_destroy(nullptr);
    ktb_safetensor_close(nullptr);
    CHECK(std::strlen(ktb_last_error()) == 0);
    CHECK(ktb_moe_create(nullptr, 0, 4, 2, 256, 256, KTB_IO_F32, KTB_MXFP4, 32, 10) == nullptr &&
          contains(ktb_last_error(), "NULL"));
    float values[256] = {};
    int32_t ids[2] = {};
    ktb_moe_forward_f32(nullptr, 1, values, values, ids, values, false, 10);
    CHECK(contains(ktb_last_error(), "NULL"));
    CHECK(ktb_moe_forward2(nullptr, 1, values, 1, values, 1, ids, values, 0, 10) ==
          KTB_ERR_ARGUMENT);
    CHECK(ktb_status(nullptr) == KTB_ERR_ARGUMENT &&
          ktb_engine_wait(nullptr, 1, 0) == KTB_ERR_ARGUMENT &&
          ktb_selftest(nullptr) == KTB_ERR_ARGUMENT);
    uint64_t done = 0;
    CHECK(ktb_load_progress(nullptr, &done, &done) == KTB_ERR_ARGUMENT &&
          ktb_engine_describe(nullptr, nullptr, 0) == KTB_ERR_ARGUMENT);
    CHECK(ktb_safetensor_open(nullptr) == nullptr &&
          !ktb_safetensor_get(nullptr, "x", nullptr, nullptr));
    CHECK(ktb_moe_export_expert(nullptr, 0, 1, values, 1, values, 1) == KTB_ERR_ARGUMENT);
}

TEST("impossible engines and layers are refused with the reason") {
    CHECK(ktb_engine_create(0, 1) == nullptr && ktb_engine_create(1, 0) == nullptr &&
          ktb_engine_create(-3, 2) == nullptr);
    CHECK(ktb_engine_create(1, 2) == nullptr &&
          contains(ktb_last_error(), "each part needs a thread"));
    CHECK(contains(error_of("{\"treads\":1}"), "unknown key \"treads\""));
    CHECK(contains(error_of("{\"threads\":0}"), "\"threads\" is 0"));
    CHECK(contains(error_of("{\"isa\":\"neon\"}"),
                   "expected auto, fastest, generic, avx2, avx512 or amx"));
    CHECK(contains(error_of("{\"numerics\":\"fp4\"}"), "expected int8, bf16, fp8ref or f32"));
    CHECK(contains(error_of("{\"huge\":\"4k\"}"), "expected auto, 2m, 1g or off"));
    CHECK(contains(error_of("{\"nodes\":[4095]}"), "node 4095"));
    CHECK(contains(error_of("{\"cores\":[[9999]]}"), "core 9999"));
    CHECK(contains(error_of("{\"threads\":2} x"), "the end of the text"));
    CHECK(contains(error_of("[]"), "'{'"));
    CHECK(contains(error_of("{\"max_tokens\":0}"), "max_tokens"));
    CHECK(ktb_engine_create_json(nullptr) == nullptr);

    ktb_engine_t engine = ktb_engine_create(1, 1);
    const auto refused = [&](int experts, int used, int hidden, int intermediate,
                             ktb_method_t method, int group, const char *part) {
        CHECK(ktb_moe_create(engine, 0, experts, used, hidden, intermediate, KTB_IO_F32, method,
                             group, 10) == nullptr);
        CHECK(contains(ktb_last_error(), part));
    };
    refused(0, 1, 256, 256, KTB_MXFP4, 32, "num_experts");
    refused(1025, 1, 256, 256, KTB_MXFP4, 32, "num_experts");
    refused(4, 17, 256, 256, KTB_MXFP4, 32, "num_experts_per_tok");
    refused(4, 2, 200, 256, KTB_MXFP4, 32, "hidden_size is 200; MXFP4 needs a multiple of 128");
    refused(4, 2, 256, 0, KTB_MXFP4, 32, "intermediate_size");
    for (ktb_method_t other :
         {KTB_RAWINT4, KTB_GPTQ_INT4, KTB_AMXINT4, KTB_AMXINT8, ktb_method_t(15)})
        refused(4, 2, 256, 256, other, 0, "is not implemented: this library has KTB_MXFP4 (0)");
    refused(4, 2, 256, 256, KTB_MXFP4, 128, "group_size is 128");
    ktb_engine_destroy(engine);
}

TEST("strict ids refuse the call and write nothing; -1 still skips") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kCallShape.experts, kCallShape.hidden, kCallShape.intermediate, 43);
    TestLayer layer(options_for("auto", "int8", 1, 2), kCallShape, experts);
    TwentyTokenCall call;
    std::vector<float> output(20u * 256, 7.0f);
    for (int32_t wrong : {4, 1000000, -2}) {
        call.ids[39] = wrong;
        CHECK(ktb_moe_forward2(layer.moe, 20, call.input.data(), 1, output.data(), 1,
                               call.ids.data(), call.weights.data(), KTB_FORWARD_STRICT_IDS,
                               10) == KTB_ERR_ARGUMENT);
        CHECK(contains(ktb_last_error(), "of token 19 is outside 0..3"));
        for (float value : output) CHECK(value == 7.0f);
    }
    call.ids[39] = -1;
    CHECK(ktb_moe_forward2(layer.moe, 20, call.input.data(), 1, output.data(), 1, call.ids.data(),
                           call.weights.data(), KTB_FORWARD_STRICT_IDS, 10) == 0);
    CHECK(ktb_moe_forward2(layer.moe, 20, call.input.data(), 1, call.input.data(), 1,
                           call.ids.data(), call.weights.data(), 0, 10) == KTB_ERR_ARGUMENT);
    CHECK(contains(ktb_last_error(), "overlap"));
    CHECK(ktb_moe_forward2(layer.moe, 20, call.input.data(), 1, output.data(), 2, call.ids.data(),
                           call.weights.data(), 0, 10) == KTB_ERR_ARGUMENT);
    CHECK(ktb_moe_forward2(layer.moe, 20, call.input.data(), 1, output.data(), 1, call.ids.data(),
                           call.weights.data(), 4, 10) == KTB_ERR_ARGUMENT);
}

TEST("a layer larger than memory is refused before anything is read, and huge pages that do not "
     "exist by name") {
    ktb_engine_t engine = ktb_engine_create(1, 1);
    ktb_moe_t moe =
        ktb_moe_create(engine, 3, 1024, 8, 65536, 65536, KTB_IO_F32, KTB_MXFP4, 32, 10); // 7 TB
    const std::vector<const void *> nowhere(1024, reinterpret_cast<const void *>(uintptr_t(64)));
    const void *const *p = nowhere.data();
    CHECK(ktb_moe_load_weights_ptrs(moe, 32, p, p, p, p, p, p, nullptr) == KTB_ERR_MEMORY);
    CHECK(contains(ktb_last_error(), "MiB are available") && ktb_status(moe) == KTB_ERR_MEMORY);
    ktb_moe_destroy(moe);
    ktb_engine_destroy(engine);
    const std::vector<CanonicalExpert> experts =
        random_experts(kCallShape.experts, kCallShape.hidden, kCallShape.intermediate, 49);
    const TwentyTokenCall call;
    TestLayer off("{\"threads\":1,\"huge\":\"off\",\"spin_us\":0}", kCallShape, experts),
        normal("{\"threads\":1,\"spin_us\":0}", kCallShape, experts);
    CHECK(off.forward(20, call.input.data(), call.ids.data(), call.weights.data()) ==
          normal.forward(20, call.input.data(), call.ids.data(), call.weights.data()));
    TestLayer giant("{\"threads\":1,\"huge\":\"1g\"}", kCallShape, experts);
    CHECK(giant.ready || contains(ktb_last_error(), "no 1 GiB huge pages"));
}
