// Engines whose workers are threads of the caller.
#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

#include "api/process_counts.h"
#include "api/test_call.h"
#include "base/test.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

TEST("threads of the caller do the work of an engine without threads, with the same bits") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kCallShape.experts, kCallShape.hidden, kCallShape.intermediate, 47);
    const TwentyTokenCall call;
    for (const int workers : {1, 2}) {
        TestLayer own("{\"threads\":" + std::to_string(workers) +
                          ",\"nodes\":[0],\"spin_us\":0,\"max_tokens\":16}",
                      kCallShape, experts);
        if (own.engine == nullptr) continue; // fewer cores
        const int before = threads_now();
        TestLayer lent("{\"external\":" + std::to_string(workers) + ",\"max_tokens\":16}",
                       kCallShape, experts);
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
        random_experts(kCallShape.experts, kCallShape.hidden, kCallShape.intermediate, 48);
    const TwentyTokenCall call;
    TestLayer lent("{\"external\":2}", kCallShape, experts);
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
        random_experts(kCallShape.experts, kCallShape.hidden, kCallShape.intermediate, 49);
    const TwentyTokenCall call;
    std::vector<float> output(size_t(kCallShape.hidden));
    for (int round = 0; round < 50; round++) {
        std::thread workers[2];
        {
            TestLayer lent("{\"external\":2}", kCallShape, experts);
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
