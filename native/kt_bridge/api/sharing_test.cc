// Several layers over the same packed weights.
#include <algorithm>
#include <atomic>

#include "api/slots_layers.h"
#include "base/test.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

constexpr Shape kShape{6, 2, 256, 512};
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kRounds = 2;
#else
constexpr int kRounds = 12;
#endif

StoredExperts experts_of(const std::string &gate_up, const std::string &down, uint64_t seed) {
    return StoredExperts(storage_named(gate_up), storage_named(down), kShape, seed);
}

const void *address_of(ktb_moe_t moe, int part, int expert) {
    const void *address = nullptr;
    size_t bytes = 0;
    ktb_moe_packed(moe, part, expert, &address, &bytes);
    return address;
}

ktb_moe_t share(TestEngine &host, ktb_moe_t source) {
    ktb_moe_t moe = nullptr;
    ktb_moe_create_shared(host.engine, source, &moe);
    if (moe != nullptr) host.layers.push_back(moe);
    return moe;
}

void destroy(TestEngine &host, ktb_moe_t moe) {
    ktb_moe_destroy(moe);
    CHECK(std::strcmp(ktb_last_error(), "") == 0);
    std::erase(host.layers, moe);
}

} // namespace

TEST("engines of other numerics and threads work on the same weights at once, each with its own "
     "bits") {
    for (const auto &[gate_up, down] :
         {std::pair{"FP4", "FP4"}, {"Q4_K", "Q2_K"}, {"BF16", "BF16"}})
        for (const int parts : {1, 2, 4}) {
            const StoredExperts experts = experts_of(gate_up, down, 83);
            const std::vector<std::string> options = {
                options_for("auto", "int8", parts, parts),
                options_for("auto", "bf16", parts, 2 * parts),
                options_for("generic", "f32", parts, parts),
                options_for("auto", "fp8ref", parts, parts),
                parts == 1 ? "{\"external\":3}" : options_for("auto", "int8", parts, parts)};
            TestEngine source(options_for("auto", "int8", parts, parts));
            ktb_moe_t loaded = source.load(experts, {0, 2, 4, 5});
            std::atomic<int> wrong{0};
            std::vector<std::thread> threads;
            for (size_t i = 0; i < options.size(); i++)
                threads.emplace_back([&, i] {
                    TestEngine own(options[i]), host(options[i]);
                    ktb_moe_t alone = own.load(experts), shared = share(host, loaded);
                    if (shared == nullptr) wrong += 1000;
                    for (int round = 0; shared != nullptr && round < kRounds; round++) {
                        Call call(kShape, 1 + round * 17 % 60, {0, 2, 4, 5}, 90 + uint64_t(round));
                        const std::vector<float> expected = call.run(alone);
                        wrong += same_bits(call.run(shared), expected) && call.status == 0 ? 0 : 1;
                        call.ids[0] = 1;
                        wrong += std::isnan(call.run(shared)[0]) && call.status == KTB_ERR_ARGUMENT
                                     ? 0
                                     : 1;
                    }
                    wrong +=
                        shared == nullptr || address_of(shared, 0, 2) == address_of(loaded, 0, 2)
                            ? 0
                            : 1;
                });
            for (std::thread &thread : threads) thread.join();
            if (wrong != 0)
                ds4::test::record(__FILE__, __LINE__,
                                  std::string(gate_up) + " parts " + std::to_string(parts) + ": " +
                                      std::to_string(wrong) + " wrong");
        }
}

TEST("the last handle keeps the weights, in whatever order the others and their engines go") {
    const StoredExperts experts = experts_of("FP4", "FP4", 84);
    std::vector<int> order = {0, 1, 2, 3};
    do {
        TestEngine hosts[3] = {
            TestEngine(options_for("auto", "int8", 2, 2)),
            TestEngine(options_for("auto", "bf16", 2, 2)),
            TestEngine("{\"threads\":2,\"nodes\":[0,0],\"spin_us\":0,\"calibrate\":false}")};
        ktb_moe_t layers[4] = {hosts[0].load(experts, {1, 3})};
        layers[1] = share(hosts[1], layers[0]), layers[2] = share(hosts[0], layers[1]),
        layers[3] = share(hosts[2], layers[2]);
        TestEngine *const owners[4] = {&hosts[0], &hosts[1], &hosts[0], &hosts[2]};
        Call call(kShape, 3, {1, 3});
        std::vector<float> expected[4];
        for (int i = 0; i < 4; i++) expected[i] = call.run(layers[i]);
        CHECK(same_bits(expected[0], expected[2]) && same_bits(expected[0], expected[3]) &&
              !same_bits(expected[0], expected[1]));
        for (size_t gone = 0; gone < 4; gone++) {
            destroy(*owners[order[gone]], layers[order[gone]]);
            if (owners[order[gone]]->layers.empty()) {
                ktb_engine_destroy(owners[order[gone]]->engine);
                CHECK(std::strcmp(ktb_last_error(), "") == 0);
                owners[order[gone]]->engine = nullptr;
            }
            for (size_t left = gone + 1; left < 4; left++)
                CHECK(same_bits(call.run(layers[order[left]]), expected[order[left]]) &&
                      call.status == 0);
        }
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST("shared weights do not move; a handle that is loaded again has its own, and the last one's "
     "move again") {
    const StoredExperts experts = experts_of("FP4", "FP4", 85),
                        others = experts_of("FP4", "FP4", 86);
    TestEngine first(options_for("auto", "int8", 1, 2)), second(options_for("auto", "int8", 1, 1));
    ktb_moe_t source = first.load(experts, {0, 1}), other = share(second, source);
    Call call(kShape, 4, {0, 1});
    const std::vector<float> expected = call.run(source);
    for (ktb_moe_t moe : {source, other}) {
        CHECK(move_expert(moe, 0, 2, experts) == KTB_ERR_STATE &&
              last_error_has("shares its weights with 1 other layers"));
        CHECK(same_bits(call.run(source), expected) && same_bits(call.run(other), expected));
    }
    CHECK(ktb_moe_keep_experts(other, 6, nullptr) == KTB_ERR_STATE);
    CHECK(load_kept(other, others) == 0); // it keeps the source's experts
    std::vector<int32_t> slots(6);
    CHECK(ktb_moe_slots(other, slots.data()) == 2 &&
          (slots == std::vector<int32_t>{0, 1, -1, -1, -1, -1}));
    CHECK(address_of(other, 0, 0) != address_of(source, 0, 0) &&
          same_bits(call.run(source), expected) && !same_bits(call.run(other), expected));
    CHECK(move_expert(source, 0, 2, experts) == 0 && move_expert(other, 1, 3, others) == 0);
    ktb_moe_t third = share(second, source);
    StoredExperts broken = experts;
    broken.values[0][1].scales[0] = 255;
    CHECK(broken.load(source) == KTB_ERR_FORMAT &&
          ktb_status(source) == KTB_ERR_FORMAT); // its own reference alone
    Call moved(kShape, 4, {1, 2});
    CHECK(moved.run(third).size() > 0 && moved.status == 0 &&
          move_expert(third, 2, 0, experts) == 0);
    CHECK(same_bits(call.run(third), expected));
}

TEST("weights are not shared while one of their experts moves, nor without any, nor between "
     "engines that split otherwise") {
    const StoredExperts experts = experts_of("FP4", "FP4", 87),
                        mixed = experts_of("BF16", "Q8_0", 87);
    TestEngine one(options_for("auto", "bf16", 1, 1)), two(options_for("auto", "int8", 2, 2)),
        lent("{\"external\":1}");
    ktb_moe_t empty = one.add(experts), loaded = one.load(experts);
    const auto refused = [](TestEngine &host, ktb_moe_t source, int code, const char *text) {
        ktb_moe_t made = source;
        CHECK(ktb_moe_create_shared(host.engine, source, &made) == code && made == nullptr &&
              last_error_has(text));
    };
    refused(one, empty, KTB_ERR_STATE, "no weights to share (status 1)");
    refused(two, loaded, KTB_ERR_ARGUMENT, "splits the width over 1 parts, this one over 2");
    refused(one, nullptr, KTB_ERR_ARGUMENT, "the layer is NULL");
    ktb_moe_t made = loaded;
    CHECK(ktb_moe_create_shared(nullptr, loaded, &made) == KTB_ERR_ARGUMENT && made == nullptr &&
          ktb_moe_create_shared(one.engine, loaded, nullptr) == KTB_ERR_ARGUMENT);
    TestEngine int8(options_for("auto", "int8", 1, 1));
    refused(int8, one.load(mixed), KTB_ERR_ARGUMENT,
            "BF16 cannot be mixed with Q8_0 for down: with numerics int8");
    ktb_moe_t moving = lent.load(experts, {0});
    uint64_t ticket = 0, forward = 0;
    Call call(kShape, 2, {1});
    std::vector<float> output;
    CHECK(move_expert(moving, 0, 1, experts, &ticket) == 0 &&
          call.submit(moving, output, forward) == 0); // has begun, and waits for workers
    refused(int8, moving, KTB_ERR_STATE, "an expert is being moved");
    CHECK(finish(lent.engine, forward, 1) == 0);
    ktb_moe_t shared = share(int8, moving);
    const std::vector<float> expected = output;
    CHECK(shared != nullptr && same_bits(call.run(shared), expected));
    CHECK(std::strcmp(ktb_last_error(), "") == 0);
}

TEST("weights that an engine has twice are counted once") {
    const StoredExperts experts = experts_of("FP4", "FP4", 88);
    TestEngine first(options_for("auto", "int8", 1, 1)), second(options_for("auto", "int8", 1, 1));
    ktb_moe_t moe = first.load(experts);
    share(first, moe), share(second, moe), share(second, moe);
    const std::string bytes = "\"weight_bytes\":" + std::to_string(6u * 3 * 256 * 512 * 17 / 32);
    CHECK(first.description().find(bytes) != std::string::npos &&
          first.description().find("\"layers\":2") != std::string::npos);
    CHECK(second.description().find(bytes) != std::string::npos);
}
