#include <atomic>
#include <cstdlib>
#include <new>

#include "base/test.h"
#include "core/scheduler/jobs_for_tests.h"

// Allocations above this size fail, in every thread. (Inlined, g++ takes malloc and delete for a
// mismatched pair.)
#define DS4_NOINLINE __attribute__((noinline))
static std::atomic<size_t> largest_allocation = SIZE_MAX;
DS4_NOINLINE void *operator new(size_t bytes) {
    void *const memory = bytes > largest_allocation ? nullptr : std::malloc(bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
DS4_NOINLINE void *operator new(size_t bytes, const std::nothrow_t &) noexcept {
    return bytes > largest_allocation ? nullptr : std::malloc(bytes);
}
DS4_NOINLINE void operator delete(void *memory) noexcept { std::free(memory); }
DS4_NOINLINE void operator delete(void *memory, size_t) noexcept { std::free(memory); }

using namespace ds4;
using namespace ds4::test;

TEST("logits that do not fit in memory fail the job, not the process") {
    FakeExecutor executor;
    executor.claimed_vocab = 1 << 20;
    Scheduler scheduler(executor);
    FakeSession session;
    largest_allocation = 1 << 20;
    const ds4_job_state failed = wait(scheduler, scheduler.start(request(session, 2, 1)));
    largest_allocation = SIZE_MAX;
    CHECK(failed.status == DS4_JOB_FAILED && failed.error == DS4_ERR_DEVICE_MEMORY);
    CHECK(session.tokens.empty());
    CHECK(wait(scheduler, scheduler.start(request(session, 2, 1))).status == DS4_JOB_DONE);
}
