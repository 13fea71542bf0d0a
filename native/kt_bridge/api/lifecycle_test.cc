// Engines come and go, and tell what they are.
#include <cmath>
#include <cstring>
#include <sched.h>

#include "api/process_counts.h"
#include "api/test_call.h"
#include "base/test.h"
#include "machine/topology.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

constexpr int kCycles = 1000, kQuickCycles = 10000;

} // namespace

TEST("engines come and go without leaving threads or mappings, asleep or spinning") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kCallShape.experts, kCallShape.hidden, kCallShape.intermediate, 41);
    const CanonicalPointers pointers(experts);
    const TwentyTokenCall call;
    int threads = 0, mappings = 0;
    for (int cycle = 0; cycle < kCycles; cycle++) {
        if (cycle == 20) threads = threads_now(), mappings = mappings_now();
        const char *options = cycle % 2 == 0 ? "{\"threads\":3,\"nodes\":[0,0],\"spin_us\":0}"
                                             : "{\"threads\":2,\"nodes\":[0],\"spin_us\":60000000}";
        ktb_engine_t engine = ktb_engine_create_json(options);
        CHECK(engine != nullptr);
        if (cycle % 10 == 0) { // with a layer that has worked
            ktb_moe_t moe = ktb_moe_create(engine, 0, 4, 2, 256, 256, KTB_IO_F32, KTB_MXFP4, 0, 10);
            CHECK(pointers.load(moe) == 0);
            std::vector<float> output(20u * 256);
            CHECK(ktb_moe_forward2(moe, 20, call.input.data(), KTB_IO_F32, output.data(),
                                   KTB_IO_F32, call.ids.data(), call.weights.data(), 0, 10) == 0);
            ktb_moe_destroy(moe);
        }
        ktb_engine_destroy(engine);
    }
    CHECK(threads_now() == threads);
    CHECK(mappings_now() <= mappings + 8); // the allocator may keep arenas of its own
}

TEST("ten thousand engines, each with a layer, leave no thread, mapping or memory") {
    constexpr Shape kSmall{2, 1, 128, 128};
    const std::vector<CanonicalExpert> experts =
        random_experts(kSmall.experts, kSmall.hidden, kSmall.intermediate, 40);
    const CanonicalPointers pointers(experts);
    int threads = 0, mappings = 0;
    const auto cycle = [&](int index) {
        ktb_engine_t engine = ktb_engine_create_json(
            index % 2 == 0 ? "{\"threads\":1,\"spin_us\":0}"
                           : "{\"threads\":2,\"nodes\":[0,0],\"spin_us\":0}");
        ktb_moe_t moe =
            ktb_moe_create(engine, index % 7, kSmall.experts, kSmall.experts_per_token,
                           kSmall.hidden, kSmall.intermediate, KTB_IO_F32, KTB_MXFP4, 32, 10);
        if (moe == nullptr || (index % 10 < 2 && pointers.load(moe) != 0))
            ds4::test::record(__FILE__, __LINE__, ktb_last_error());
        ktb_moe_destroy(moe);
        ktb_engine_destroy(engine);
    };
    for (int index = 0; index < kQuickCycles / 10; index++)
        cycle(index); // the allocator and the stacks' cache settle
    threads = threads_now(), mappings = mappings_now();
    const uint64_t resident = resident_bytes();
    for (int index = 0; index < kQuickCycles; index++) cycle(index);
    CHECK(threads_now() == threads);
    CHECK(mappings_now() <= mappings + 8); // the allocator may keep arenas of its own
    // 100 bytes a cycle at most: no object of an engine or a layer is that small. A sanitizer keeps
    // freed memory itself.
    CHECK(ds4::test::kSanitizer || resident_bytes() <= resident + (1 << 20));
}

TEST("destroying an engine with live layers is refused and the engine goes on working") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kCallShape.experts, kCallShape.hidden, kCallShape.intermediate, 42);
    TestLayer layer(options_for("auto", "int8", 1, 2), kCallShape, experts);
    ktb_engine_destroy(layer.engine);
    CHECK(contains(ktb_last_error(), "1 live layers"));
    const TwentyTokenCall call;
    layer.forward(1, call.input.data(), call.ids.data(), call.weights.data());
    CHECK(layer.status == 0);
}

TEST("a restricted cpu set limits the workers and where they run") {
    cpu_set_t before, one;
    CHECK(sched_getaffinity(0, sizeof before, &before) == 0);
    const ds4::machine::Core core = ds4::machine::read_topology().cores.back();
    CPU_ZERO(&one);
    CPU_SET(core.cpu, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    const std::vector<CanonicalExpert> experts =
        random_experts(kCallShape.experts, kCallShape.hidden, kCallShape.intermediate, 50);
    const TwentyTokenCall call;
    char text[4096];
    {
        TestLayer layer("{\"threads\":16,\"spin_us\":0}", kCallShape, experts);
        ktb_engine_describe(layer.engine, text, sizeof text);
        CHECK(contains(text, "\"workers\":1,\"oversubscribed\":false") &&
              contains(text, ("\"cores\":[" + std::to_string(core.cpu) + "]").c_str()));
        layer.forward(20, call.input.data(), call.ids.data(), call.weights.data());
        CHECK(layer.status == 0);
        const std::string node = std::to_string(core.node);
        TestLayer parts("{\"threads\":8,\"nodes\":[" + node + "," + node + "," + node + "]}",
                        kCallShape, experts); // each part keeps a worker
        ktb_engine_describe(parts.engine, text, sizeof text);
        CHECK(contains(text, "\"workers\":3,\"oversubscribed\":true"));
        parts.forward(20, call.input.data(), call.ids.data(), call.weights.data());
        CHECK(parts.status == 0);
    }
    CHECK(sched_setaffinity(0, sizeof before, &before) == 0);
    const std::string listed = "{\"cores\":[[" + std::to_string(core.cpu) + "]]}";
    TestLayer chosen(listed, kCallShape, experts);
    ktb_engine_describe(chosen.engine, text, sizeof text);
    CHECK(contains(text, ("\"cores\":[" + std::to_string(core.cpu) + "]").c_str()));
}

TEST("the description names what was chosen and obtained") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kCallShape.experts, kCallShape.hidden, kCallShape.intermediate, 47);
    TestLayer layer(
        "{\"threads\":2,\"nodes\":[0,0],\"numerics\":\"bf16\",\"isa\":\"generic\",\"spin_us\":0}",
        kCallShape, experts);
    const TwentyTokenCall call;
    layer.forward(1, call.input.data(), call.ids.data(), call.weights.data());
    char text[4096];
    const int length = ktb_engine_describe(layer.engine, text, sizeof text);
    CHECK(length > 0 && size_t(length) == std::strlen(text));
    CHECK(contains(text, "\"isa\":\"generic\"") && contains(text, "\"numerics\":\"bf16\"") &&
          contains(text, "\"workers\":2"));
    CHECK(contains(text, "\"weight_bytes\":208896") || contains(text, "\"weight_bytes\":417792"));
    char cut[8];
    CHECK(ktb_engine_describe(layer.engine, cut, sizeof cut) == length && std::strlen(cut) == 7);
}

TEST("the self test passes on this machine") {
    ktb_engine_t engine = ktb_engine_create(1, 1);
    const int code = ktb_selftest(engine);
    if (code != 0) ds4::test::record(__FILE__, __LINE__, ktb_last_error());
    ktb_engine_destroy(engine);
}

TEST("conversions round to nearest even and keep NaN") {
    const uint32_t bits[] = {0x3f808000, 0x3f818000, 0x3f808001, 0x7f800000, 0x7fa00001,
                             0xff800000, 0x7f7fffff, 0x80000000, 0x00008000};
    const uint16_t expected[] = {0x3f80, 0x3f82, 0x3f81, 0x7f80, 0x7fe0,
                                 0xff80, 0x7f80, 0x8000, 0x0000};
    uint8_t unaligned[1 + sizeof bits];
    std::memcpy(unaligned + 1, bits, sizeof bits);
    uint16_t words[9];
    ktb_convert_f32_to_bf16(reinterpret_cast<const float *>(unaligned + 1), words, 9);
    for (int i = 0; i < 9; i++) CHECK(words[i] == expected[i]);
    float back[9];
    ktb_convert_bf16_to_f32(words, back, 9);
    CHECK(back[0] == 1.0f && std::isnan(back[4]) && std::isinf(back[5]) && std::signbit(back[7]));
}
