// Engines, threads, the queue and refusals of the C ABI.
#include <atomic>
#include <chrono>
#include <climits>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sched.h>
#include <thread>
#include <unistd.h>

#include "api/test_layer.h"
#include "base/test.h"
#include "machine/topology.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

constexpr int kCycles = 1000, kQuickCycles = 10000;
constexpr Shape kShape{4, 2, 256, 256};

// The kernel lists a joined thread for a moment longer: the lowest of some looks counts.
int threads_now() {
    int fewest = INT_MAX;
    for (int look = 0; look < 20; look++) {
        int count = 0;
        for (const auto &entry : std::filesystem::directory_iterator("/proc/self/task"))
            count += entry.exists() ? 1 : 0;
        fewest = std::min(fewest, count);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return fewest;
}

int mappings_now() {
    std::ifstream maps("/proc/self/maps");
    int count = 0;
    for (std::string line; std::getline(maps, line);) count++;
    return count;
}

uint64_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    uint64_t total = 0, resident = 0;
    file >> total >> resident;
    return resident * uint64_t(sysconf(_SC_PAGESIZE));
}

std::string error_of(const char *options) {
    ktb_engine_t engine = ktb_engine_create_json(options);
    const std::string text = ktb_last_error();
    ktb_engine_destroy(engine);
    return engine == nullptr ? text : "created";
}

bool contains(const std::string &text, const char *part) {
    return text.find(part) != std::string::npos;
}

struct Call {
    std::vector<float> input = random_values(20u * 256, 1.0f, 31),
                       weights = std::vector<float>(40, 0.5f);
    std::vector<int32_t> ids;
    Call() {
        for (int slot = 0; slot < 40; slot++) ids.push_back(slot % 4);
    }
};

} // namespace

TEST("engines come and go without leaving threads or mappings, asleep or spinning") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 41);
    const CanonicalPointers pointers(experts);
    const Call call;
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
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 42);
    TestLayer layer(options_for("auto", "int8", 1, 2), kShape, experts);
    ktb_engine_destroy(layer.engine);
    CHECK(contains(ktb_last_error(), "1 live layers"));
    const Call call;
    layer.forward(1, call.input.data(), call.ids.data(), call.weights.data());
    CHECK(layer.status == 0);
}

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
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 43);
    TestLayer layer(options_for("auto", "int8", 1, 2), kShape, experts);
    Call call;
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

TEST("queued work runs in order, and its layer cannot be destroyed before") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 44);
    TestLayer layer(options_for("auto", "int8", 2, 3), kShape, experts);
    const Call call;
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
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 48);
    TestLayer layer(options_for("auto", "int8", 1, 2), kShape, experts);
    const Call call;
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
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 45);
    const std::vector<CanonicalExpert> others =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 46);
    TestLayer first(options_for("auto", "int8", 2, 2), kShape, experts);
    ktb_moe_t second =
        ktb_moe_create(first.engine, 1, 4, 2, 256, 256, KTB_IO_F32, KTB_MXFP4, 32, 10);
    CHECK(CanonicalPointers(others).load(second) == 0);
    const Call call;
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
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 49);
    const Call call;
    TestLayer off("{\"threads\":1,\"huge\":\"off\",\"spin_us\":0}", kShape, experts),
        normal("{\"threads\":1,\"spin_us\":0}", kShape, experts);
    CHECK(off.forward(20, call.input.data(), call.ids.data(), call.weights.data()) ==
          normal.forward(20, call.input.data(), call.ids.data(), call.weights.data()));
    TestLayer giant("{\"threads\":1,\"huge\":\"1g\"}", kShape, experts);
    CHECK(giant.ready || contains(ktb_last_error(), "no 1 GiB huge pages"));
}

TEST("a restricted cpu set limits the workers and where they run") {
    cpu_set_t before, one;
    CHECK(sched_getaffinity(0, sizeof before, &before) == 0);
    const ds4::machine::Core core = ds4::machine::read_topology().cores.back();
    CPU_ZERO(&one);
    CPU_SET(core.cpu, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 50);
    const Call call;
    char text[4096];
    {
        TestLayer layer("{\"threads\":16,\"spin_us\":0}", kShape, experts);
        ktb_engine_describe(layer.engine, text, sizeof text);
        CHECK(contains(text, "\"workers\":1,\"oversubscribed\":false") &&
              contains(text, ("\"cores\":[" + std::to_string(core.cpu) + "]").c_str()));
        layer.forward(20, call.input.data(), call.ids.data(), call.weights.data());
        CHECK(layer.status == 0);
        const std::string node = std::to_string(core.node);
        TestLayer parts("{\"threads\":8,\"nodes\":[" + node + "," + node + "," + node + "]}",
                        kShape, experts); // each part keeps a worker
        ktb_engine_describe(parts.engine, text, sizeof text);
        CHECK(contains(text, "\"workers\":3,\"oversubscribed\":true"));
        parts.forward(20, call.input.data(), call.ids.data(), call.weights.data());
        CHECK(parts.status == 0);
    }
    CHECK(sched_setaffinity(0, sizeof before, &before) == 0);
    const std::string listed = "{\"cores\":[[" + std::to_string(core.cpu) + "]]}";
    TestLayer chosen(listed, kShape, experts);
    ktb_engine_describe(chosen.engine, text, sizeof text);
    CHECK(contains(text, ("\"cores\":[" + std::to_string(core.cpu) + "]").c_str()));
}

TEST("the description names what was chosen and obtained") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 47);
    TestLayer layer(
        "{\"threads\":2,\"nodes\":[0,0],\"numerics\":\"bf16\",\"isa\":\"generic\",\"spin_us\":0}",
        kShape, experts);
    const Call call;
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

TEST("threads of the caller do the work of an engine without threads, with the same bits") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 47);
    const Call call;
    for (const int workers : {1, 2}) {
        TestLayer own("{\"threads\":" + std::to_string(workers) +
                          ",\"nodes\":[0],\"spin_us\":0,\"max_tokens\":16}",
                      kShape, experts);
        if (own.engine == nullptr) continue; // fewer cores
        const int before = threads_now();
        TestLayer lent("{\"external\":" + std::to_string(workers) + ",\"max_tokens\":16}", kShape,
                       experts);
        CHECK(lent.ready && threads_now() == before);
        for (const int tokens : {0, 1, 20}) { // 20 tokens: two passes
            const std::vector<float> expected =
                own.forward(tokens, call.input.data(), call.ids.data(), call.weights.data());
            CHECK(lent.forward(tokens, call.input.data(), call.ids.data(), call.weights.data()) ==
                  expected);
            std::vector<float> output(expected.size(), NAN);
            uint64_t ticket = 0;
            CHECK(ktb_moe_submit(lent.moe, tokens, call.input.data(), KTB_IO_F32, output.data(),
                                 KTB_IO_F32, call.ids.data(), call.weights.data(), 0, 10,
                                 &ticket) == 0);
            CHECK(tokens == 0 || ktb_engine_wait(lent.engine, ticket, 0) == 1);
            std::vector<std::thread> threads;
            std::atomic<int> failures{0};
            for (int worker = 0; worker < workers; worker++)
                threads.emplace_back([&, worker] {
                    failures += ktb_engine_work(lent.engine, worker, ticket) == 0 ? 0 : 1;
                });
            for (std::thread &thread : threads) thread.join();
            CHECK(failures == 0 && output == expected &&
                  ktb_engine_wait(lent.engine, ticket, 0) == 0);
        }
    }
}

TEST("two threads that call themselves the same worker do not both work, and a blocking call does "
     "not come between") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 48);
    const Call call;
    TestLayer lent("{\"external\":2}", kShape, experts);
    const std::vector<float> expected =
        lent.forward(20, call.input.data(), call.ids.data(), call.weights.data());
    std::vector<float> output(expected.size(), NAN);
    uint64_t ticket = 0;
    CHECK(ktb_moe_submit(lent.moe, 20, call.input.data(), KTB_IO_F32, output.data(), KTB_IO_F32,
                         call.ids.data(), call.weights.data(), 0, 10, &ticket) == 0);
    std::atomic<int> done{0}, refused{0};
    const auto as_worker_0 = [&] {
        (ktb_engine_work(lent.engine, 0, ticket) == KTB_ERR_STATE ? refused : done)++;
    };
    std::thread first(as_worker_0), second(as_worker_0);
    while (refused + done == 0) std::this_thread::yield();
    CHECK(refused == 1 && done == 0); // the other one waits for worker 1
    std::vector<float> blocked =
        lent.forward(1, call.input.data(), call.ids.data(), call.weights.data());
    CHECK(lent.status == KTB_ERR_STATE && std::isnan(blocked[0]));
    CHECK(CanonicalPointers(experts).load(lent.moe) == KTB_ERR_STATE &&
          contains(ktb_last_error(), "another thread is in ktb_engine_work"));
    CHECK(ktb_engine_work(lent.engine, 1, ticket) == 0);
    first.join();
    second.join();
    CHECK(refused == 1 && done == 1 && output == expected);
    CHECK(lent.forward(20, call.input.data(), call.ids.data(), call.weights.data()) == expected);
}

TEST("an engine without threads goes only when the threads of its last work have left it") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 49);
    const Call call;
    std::vector<float> output(size_t(kShape.hidden));
    for (int round = 0; round < 50; round++) {
        std::thread workers[2];
        {
            TestLayer lent("{\"external\":2}", kShape, experts);
            uint64_t ticket = 0;
            CHECK(ktb_moe_submit(lent.moe, 1, call.input.data(), KTB_IO_F32, output.data(),
                                 KTB_IO_F32, call.ids.data(), call.weights.data(), 0, 10,
                                 &ticket) == 0);
            std::atomic<int> inside{0};
            for (int worker = 0; worker < 2; worker++)
                workers[worker] = std::thread([&inside, engine = lent.engine, worker, ticket] {
                    inside++;
                    ktb_engine_work(engine, worker, ticket);
                });
            while (inside < 2) std::this_thread::yield();
            CHECK(ktb_engine_wait(lent.engine, ticket, -1) == 0);
        }
        for (std::thread &worker : workers) worker.join();
    }
}

TEST("work on an engine without threads is refused where it cannot be meant") {
    CHECK(contains(error_of("{\"external\":2,\"threads\":2}"), "have no meaning"));
    CHECK(contains(error_of("{\"external\":0}"), "\"external\" is 0"));
    ktb_engine_t threaded = ktb_engine_create(1, 1),
                 lent = ktb_engine_create_json("{\"external\":2}");
    CHECK(ktb_engine_work(nullptr, 0, 1) == KTB_ERR_ARGUMENT);
    CHECK(ktb_engine_work(threaded, 0, 1) == KTB_ERR_STATE &&
          contains(ktb_last_error(), "workers of its own"));
    CHECK(ktb_engine_work(lent, 2, 1) == KTB_ERR_ARGUMENT &&
          contains(ktb_last_error(), "outside 0..1"));
    CHECK(ktb_engine_work(lent, 0, 1) == KTB_ERR_ARGUMENT &&
          contains(ktb_last_error(), "never given"));
    ktb_engine_destroy(threaded);
    ktb_engine_destroy(lent);
}
