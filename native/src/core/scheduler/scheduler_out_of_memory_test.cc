#include <atomic>
#include <cstdlib>
#include <new>

#include "base/test.h"
#include "core/scheduler/jobs_for_tests.h"

// One allocation fails, by its number among those of all threads but a test's. (Inlined, g++ takes
// malloc and delete for a mismatched pair.)
#define DS4_NOINLINE __attribute__((noinline))
static std::atomic<int> allocations_left = -1; // -1: without end
static thread_local bool is_test_thread = false;

static void *allocate(size_t bytes) noexcept {
    if (!is_test_thread && allocations_left >= 0 && allocations_left.fetch_sub(1) == 0)
        return nullptr;
    return std::malloc(bytes);
}

DS4_NOINLINE void *operator new(size_t bytes) {
    void *const memory = allocate(bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
DS4_NOINLINE void *operator new(size_t bytes, const std::nothrow_t &) noexcept {
    return allocate(bytes);
}
DS4_NOINLINE void operator delete(void *memory) noexcept { std::free(memory); }
DS4_NOINLINE void operator delete(void *memory, size_t) noexcept { std::free(memory); }

using namespace ds4;
using namespace ds4::test;

TEST("any allocation of the scheduler's thread may fail: jobs end with a status, and it goes on") {
    is_test_thread = true;
    int failed = 0, done = 0;
    for (int nth = 0; nth < 80; nth++) {
        FakeExecutor executor;
        Scheduler scheduler(executor);
        FakeSession first, second, third;
        executor.gate(false);
        const uint64_t jobs[] = {scheduler.start(request(first, 3, 30)),
                                 scheduler.start(request(second, 3, 30))};
        allocations_left = nth;
        executor.gate(true);
        for (const uint64_t job : jobs) {
            ds4_job_state state = poll(scheduler, job);
            for (; state.status == DS4_JOB_RUNNING; state = poll(scheduler, job))
                std::this_thread::sleep_for(std::chrono::microseconds(50));
            CHECK(state.status == DS4_JOB_DONE ||
                  (state.status == DS4_JOB_FAILED && state.error == DS4_ERR_DEVICE_MEMORY));
            (state.status == DS4_JOB_DONE ? done : failed)++;
            if (state.status == DS4_JOB_FAILED) CHECK(!scheduler.error(job).empty());
            scheduler.free(job);
        }
        allocations_left = -1;
        CHECK(!first.claimed && !second.claimed);
        CHECK(wait(scheduler, scheduler.start(request(third, 2, 4))).status == DS4_JOB_DONE);
    }
    is_test_thread = false;
    CHECK(failed > 10 && done > 10);
}
