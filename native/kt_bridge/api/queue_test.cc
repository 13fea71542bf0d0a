// Jobs of several threads and layers in one queue.
#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>

#include "api/test_call.h"
#include "base/test.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

TEST("queued work runs in order, and its layer cannot be destroyed before") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kCallShape.experts, kCallShape.hidden, kCallShape.intermediate, 44);
    TestLayer layer(options_for("auto", "int8", 2, 3), kCallShape, experts);
    const TwentyTokenCall call;
    const std::vector<float> once =
        layer.forward(20, call.input.data(), call.ids.data(), call.weights.data());
    std::vector<float> output(20u * 256, 0.0f);
    uint64_t tickets[50];
    for (int i = 0; i < 50; i++) // one overwrites, the others add
        CHECK(ktb_moe_submit(layer.moe, 20, call.input.data(), 1, output.data(), 1, call.ids.data(),
                             call.weights.data(), i == 0 ? 0 : KTB_FORWARD_INCREMENTAL, 10,
                             &tickets[i]) == 0);
    ktb_moe_t still = layer.moe;
    ktb_moe_destroy(
        layer.moe); // refused while queued; if all work is already done there is nothing to refuse
    if (std::strlen(ktb_last_error()) == 0)
        layer.moe = nullptr;
    else
        CHECK(contains(ktb_last_error(), "wait for them"));
    int code = 1;
    while (code == 1) code = ktb_engine_wait(layer.engine, tickets[49], 5);
    CHECK(code == 0 && still != nullptr);
    for (int i = 0; i < 50; i++)
        CHECK(tickets[i] == tickets[0] + uint64_t(i) &&
              ktb_engine_wait(layer.engine, tickets[i], 0) == 0);
    std::vector<float> sum = once;
    for (int i = 1; i < 50; i++)
        for (size_t at = 0; at < sum.size(); at++) sum[at] += once[at];
    CHECK(output == sum);
    CHECK(ktb_engine_wait(layer.engine, tickets[49] + 1, 0) == KTB_ERR_ARGUMENT &&
          ktb_engine_wait(layer.engine, 0, 0) == KTB_ERR_ARGUMENT);
}

TEST("work queued behind a load that fails gets an error, not a crash") {
    std::vector<CanonicalExpert> experts =
        random_experts(kCallShape.experts, kCallShape.hidden, kCallShape.intermediate, 48);
    TestLayer layer(options_for("auto", "int8", 1, 2), kCallShape, experts);
    const TwentyTokenCall call;
    experts[3].scales[2].back() = 255; // a NaN that is found while packing
    const CanonicalPointers broken(experts);
    std::vector<float> output(20u * 256);
    std::atomic<bool> stop{false};
    std::atomic<int> others{0};
    std::thread caller([&] {
        while (!stop.load()) {
            const int code = ktb_moe_forward2(layer.moe, 20, call.input.data(), 1, output.data(), 1,
                                              call.ids.data(), call.weights.data(), 0, 10);
            others += code == 0 || code == KTB_ERR_STATE ? 0 : 1;
            char text[4096];
            others += ktb_engine_describe(layer.engine, text, sizeof text) > 0 ? 0 : 1;
        }
    });
    experts[3].scales[2].back() = 120;
    const CanonicalPointers good(experts);
    for (int i = 0; i < 10; i++) CHECK(broken.load(layer.moe) != 0 && good.load(layer.moe) == 0);
    stop.store(true);
    caller.join();
    CHECK(others.load() == 0);
    layer.forward(1, call.input.data(), call.ids.data(), call.weights.data());
    CHECK(layer.status == 0);
}

TEST("threads may call different layers of one engine at once") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kCallShape.experts, kCallShape.hidden, kCallShape.intermediate, 45);
    const std::vector<CanonicalExpert> others =
        random_experts(kCallShape.experts, kCallShape.hidden, kCallShape.intermediate, 46);
    TestLayer first(options_for("auto", "int8", 2, 2), kCallShape, experts);
    ktb_moe_t second =
        ktb_moe_create(first.engine, 1, 4, 2, 256, 256, KTB_IO_F32, KTB_MXFP4, 32, 10);
    CHECK(CanonicalPointers(others).load(second) == 0);
    const TwentyTokenCall call;
    std::atomic<int> wrong{0};
    const auto hammer = [&](ktb_moe_t moe, int tokens) {
        std::vector<float> expected(size_t(tokens) * 256), output(expected.size());
        ktb_moe_forward2(moe, tokens, call.input.data(), 1, expected.data(), 1, call.ids.data(),
                         call.weights.data(), 0, 10);
        for (int i = 0; i < 40; i++) {
            ktb_moe_forward2(moe, tokens, call.input.data(), 1, output.data(), 1, call.ids.data(),
                             call.weights.data(), 0, 10);
            wrong += output == expected ? 0 : 1;
        }
    };
    std::thread a(hammer, first.moe, 20), b(hammer, second, 3), c(hammer, first.moe, 1);
    a.join(), b.join(), c.join();
    CHECK(wrong.load() == 0);
    ktb_moe_destroy(second);
}
