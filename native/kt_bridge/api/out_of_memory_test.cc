// Calls that find no memory leave nothing behind that keeps a layer from being destroyed.
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "api/test_layer.h"
#include "base/test.h"
#include "pool/first_failure.h"

using namespace ds4::ktb;
using namespace ds4::ktb::test;

namespace {

constexpr Shape kShape{2, 1, 128, 128};
thread_local int allocations_left = -1; // of this thread until one fails; -1: none does

} // namespace

// Not inlined, because the compiler would see memory of one function freed by another.
__attribute__((noinline)) void *operator new(size_t bytes) {
    if (allocations_left >= 0 && allocations_left-- == 0) throw std::bad_alloc();
    void *memory = std::malloc(bytes == 0 ? 1 : bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
__attribute__((noinline)) void *operator new(size_t bytes, const std::nothrow_t &) noexcept {
    return std::malloc(bytes == 0 ? 1 : bytes);
}
__attribute__((noinline)) void operator delete(void *memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void *memory, size_t) noexcept { std::free(memory); }

TEST("a call that finds no memory for its place in the queue is refused, and its layer can go "
     "afterwards") {
    const std::vector<CanonicalExpert> experts =
        random_experts(kShape.experts, kShape.hidden, kShape.intermediate, 91);
    TestLayer layer("{\"external\":1}", kShape, experts);
    const std::vector<float> input = random_values(size_t(kShape.hidden), 1.0f, 3),
                             weights(1, 1.0f);
    const std::vector<int32_t> ids = {0};
    std::vector<float> output(size_t(kShape.hidden));
    const auto submit = [&](uint64_t &ticket) {
        return ktb_moe_submit(layer.moe, 1, input.data(), KTB_IO_F32, output.data(), KTB_IO_F32,
                              ids.data(), weights.data(), 0, 10, &ticket);
    };
    uint64_t last = 0;
    CHECK(submit(last) == 0); // the queue is busy from here on: what follows is only put into it
    int refused[3] = {};
    for (int call = 0; call < 200;
         call++) // the queue grows by pieces: only some calls need memory for it
        for (int allocations = 0; allocations < 3; allocations++) {
            uint64_t ticket = 0;
            allocations_left = allocations;
            const int code = submit(ticket);
            allocations_left = -1;
            CHECK(code == 0 || (code == KTB_ERR_MEMORY && ticket == 0));
            if (code == 0)
                last = ticket;
            else
                refused[allocations]++;
        }
    CHECK(refused[0] == 200 && refused[2] > 0 && refused[2] < 200);
    std::thread worker([&] { CHECK(ktb_engine_work(layer.engine, 0, last) == 0); });
    worker.join();
    ktb_moe_destroy(layer.moe);
    CHECK(std::strcmp(ktb_last_error(), "") == 0);
    layer.moe = nullptr;
}

TEST("a worker's failure is kept even when there is no memory for its text") {
    const ExpertError error(KTB_ERR_FORMAT,
                            std::string(2000, 'x')); // longer than any text that is made
    FirstFailure failure;
    failure.collect("", [&] {
        allocations_left = 0;
        throw error;
    });
    allocations_left = -1;
    int code = 0;
    std::string text;
    try {
        failure.rethrow();
    } catch (const ExpertError &kept) {
        code = kept.code(), text = kept.what();
    }
    CHECK(failure.any() && code == KTB_ERR_FORMAT && text.size() > 1000 &&
          text.find_first_not_of('x') == std::string::npos);
}
