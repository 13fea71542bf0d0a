// Order, fairness, wake-ups and cancellation of many jobs at once. Run under ThreadSanitizer with
// -DDS4_SANITIZE=thread.
#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <set>

#include "base/test.h"
#include "core/scheduler/fake_executor.h"
#include "core/scheduler/jobs_for_tests.h"
#include "core/scheduler/scheduler.h"
#include "ds4.h"

using namespace ds4;
using namespace ds4::test;

namespace {

std::mutex wake_mutex;
std::map<uint32_t, int> wakes; // by tag
void count_wake(uint32_t tag) {
    const std::lock_guard lock(wake_mutex);
    wakes[tag]++;
}
int wakes_of(uint32_t tag) {
    const std::lock_guard lock(wake_mutex);
    return wakes[tag];
}

} // namespace

TEST("jobs that decode share every step, one token each") {
    FakeExecutor executor;
    executor.step_time = std::chrono::microseconds(500);
    Scheduler scheduler(executor);
    std::array<FakeSession, 5> sessions;
    std::vector<uint64_t> jobs;
    jobs.push_back(scheduler.start(request(sessions[0], 1, 200)));
    executor.wait_until_in_step();
    for (size_t i = 1; i < sessions.size(); i++)
        jobs.push_back(scheduler.start(request(sessions[i], 1, 20)));
    for (const uint64_t job : jobs) wait(scheduler, job);
    CHECK(executor.steps().size() == 201); // 200 tokens and the settling of the first job
    // Their prompts are read in either lane, so the others may begin some steps apart.
    const size_t shared = size_t(
        std::count(executor.steps().begin(), executor.steps().end(), std::vector<uint32_t>(5, 1)));
    CHECK(shared >= 10);
}

TEST("the next step is submitted before the token of the running one is known") {
    FakeExecutor executor;
    executor.gate(false);
    Scheduler scheduler(executor);
    FakeSession session;
    const uint64_t job = scheduler.start(request(session, 1, 3));
    for (int token = 0; token < 3; token++) executor.let_one_pass();
    // The prompt's step and the two after it are evaluated. The next one waits at the gate with
    // the last token, though nobody has polled.
    while (executor.attempts < 4) std::this_thread::yield();
    CHECK(poll(scheduler, job).status == DS4_JOB_RUNNING);
    executor.gate(true);
    CHECK(wait(scheduler, job).generated == 3);
    CHECK(session.tokens.size() == 4);
}

TEST("a document is read while others decode, and a short question is answered between") {
    FakeExecutor executor;
    executor.prompt_token_time = std::chrono::microseconds(100);
    Scheduler scheduler(executor);
    FakeSession talking, reading, asking;
    talking.limit = reading.limit = 100'000;
    const uint64_t read = scheduler.start(request(reading, 10'000, 1)); // a second
    const uint64_t talk = scheduler.start(request(talking, 1, 100));
    const uint64_t ask = scheduler.start(request(asking, 20, 1));
    CHECK(wait(scheduler, ask).status == DS4_JOB_DONE);
    CHECK(wait(scheduler, talk).status == DS4_JOB_DONE);
    const ds4_job_state state = poll(scheduler, read);
    CHECK(state.status == DS4_JOB_RUNNING && state.prompt_processed < 9'000);
    scheduler.cancel(read);
    CHECK(wait(scheduler, read).status == DS4_JOB_CANCELLED);
    CHECK(reading.tokens.size() % 512 == 0);
}

TEST("a job whose session another call uses waits, and the others go on") {
    FakeExecutor executor;
    Scheduler scheduler(executor);
    FakeSession used, free;
    used.stays_busy = true;
    const uint64_t waiting = scheduler.start(request(used, 3, 5));
    CHECK(wait(scheduler, scheduler.start(request(free, 3, 5))).status == DS4_JOB_DONE);
    CHECK(poll(scheduler, waiting).status == DS4_JOB_RUNNING && used.tokens.empty());
    used.stays_busy = false;
    // An engine tells the scheduler to look again; here another job does.
    CHECK(wait(scheduler, scheduler.start(request(free, 3, 5))).status == DS4_JOB_DONE);
    CHECK(wait(scheduler, waiting).status == DS4_JOB_DONE);
}

TEST("more decoding jobs than the step budget take turns, and a prompt still gets in") {
    FakeExecutor executor;
    executor.budget = 4;
    Scheduler scheduler(executor);
    std::array<FakeSession, 12> sessions;
    std::vector<uint64_t> jobs;
    for (FakeSession &session : sessions) jobs.push_back(scheduler.start(request(session, 3, 40)));
    for (const uint64_t job : jobs) CHECK(wait(scheduler, job).generated == 40);
    for (const FakeSession &session : sessions) CHECK(session.tokens.size() == 43);
}

TEST("a job wakes once until it is polled, again after a poll, and always at its end") {
    wakes.clear();
    FakeExecutor executor;
    Scheduler scheduler(executor);
    scheduler.set_waker(count_wake);
    FakeSession session;
    const uint64_t job = scheduler.start(request(session, 1, 50, 77));
    while (wakes_of(77) == 0) std::this_thread::yield();
    while (session.claimed) std::this_thread::yield();
    CHECK(wakes_of(77) == 1); // all steps have passed, nobody polled
    const ds4_job_state state = wait(scheduler, job);
    CHECK(state.generated == 50 && state.status == DS4_JOB_DONE);
}

TEST("cancelling a job alone in a long step ends it at once and leaves the session where it was") {
    FakeExecutor executor;
    executor.step_time = std::chrono::seconds(5);
    Scheduler scheduler(executor);
    FakeSession session;
    const uint64_t job = scheduler.start(request(session, 4, 10));
    executor.wait_until_in_step();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const auto begin = std::chrono::steady_clock::now();
    scheduler.cancel(job);
    CHECK(wait(scheduler, job).status == DS4_JOB_CANCELLED);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(1));
    CHECK(session.tokens.empty());
}

TEST("a job that waits for its turn is cancelled without waiting for the running step") {
    FakeExecutor executor;
    executor.gate(false);
    Scheduler scheduler(executor);
    FakeSession first, second;
    const uint64_t running = scheduler.start(request(first, 1, 1));
    executor.wait_until_in_step();
    const uint64_t waiting = scheduler.start(request(second, 1, 1));
    scheduler.cancel(waiting);
    CHECK(poll(scheduler, waiting).status == DS4_JOB_CANCELLED);
    scheduler.free(waiting);
    executor.gate(true);
    wait(scheduler, running);
    CHECK(second.tokens.empty());
}

TEST(
    "cancelling every job of a shared step ends them with that step: none is run again by itself") {
    FakeExecutor executor;
    executor.gate(false);
    Scheduler scheduler(executor);
    // Both lanes are taken, so that the two jobs wait and are planned together.
    FakeSession first, long_one, others[2];
    const uint64_t ahead = scheduler.start(request(first, 1, 1));
    const uint64_t reading = scheduler.start(request(long_one, 100, 1));
    while (executor.attempts < 2) std::this_thread::yield();
    uint64_t jobs[2];
    for (int i = 0; i < 2; i++) jobs[i] = scheduler.start(request(others[i], 4, 10));
    scheduler.cancel(ahead);
    scheduler.cancel(reading);
    executor.let_one_pass(); // of either lane, whose next step has the two jobs
    while (executor.attempts < 3) std::this_thread::yield();
    for (const uint64_t job : jobs) scheduler.cancel(job);
    executor.gate(true);
    for (const uint64_t job : {ahead, reading, jobs[0], jobs[1]})
        CHECK(wait(scheduler, job).status == DS4_JOB_CANCELLED);
    CHECK(executor.attempts == 3);
    CHECK(others[0].tokens.empty() && others[1].tokens.empty());
}

TEST("a session taken from a running job ends the job, and nothing steps it afterwards") {
    FakeExecutor executor;
    executor.step_time = std::chrono::microseconds(10); // so that no job comes to its end by itself
    Scheduler scheduler(executor);
    for (int round = 0; round < 200; round++) {
        FakeSession session;
        session.limit = 100'000;
        const uint64_t job = scheduler.start(request(session, 4, 50'000));
        for (int spins = round; spins > 0; spins--) std::this_thread::yield();
        scheduler.release(session.handle());
        const size_t fed = session.tokens.size();
        CHECK(poll(scheduler, job).status == DS4_JOB_CANCELLED);
        const uint64_t next =
            scheduler.start(request(session, 1, 0)); // though the first job is not freed
        CHECK(wait(scheduler, next).status == DS4_JOB_DONE);
        CHECK(session.tokens.size() == fed + 1);
        scheduler.free(job);
    }
}

TEST("thousands of jobs cancelled at random leave none behind, and every session a prefix of its "
     "own stream") {
    FakeExecutor executor;
    Scheduler scheduler(executor);
    constexpr int kThreads = 4, kJobs = 600;
    std::array<int, kThreads> done{}, cancelled{}, wrong{};
    std::vector<std::thread> clients;
    for (int client = 0; client < kThreads; client++) {
        clients.emplace_back([&, client] {
            std::mt19937 random(uint32_t(client + 1));
            for (int i = 0; i < kJobs; i++) {
                FakeSession session;
                session.limit = 100'000;
                // of the cancelled ones half are about as long as the cancel takes to come, half
                // are never done by then
                const uint32_t kind = random() % 4, wanted = kind == 0 ? 50'000 : 1 + random() % 60,
                               prompt = 1 + random() % 60;
                std::vector<int32_t> ids;
                const uint64_t job = scheduler.start(request(session, prompt, wanted));
                if (kind <= 1) {
                    for (uint32_t spins = random() % 40; spins > 0; spins--)
                        std::this_thread::yield();
                    scheduler.cancel(job);
                }
                const ds4_job_state state = wait(scheduler, job, &ids);
                (state.status == DS4_JOB_DONE ? done : cancelled)[size_t(client)]++;
                const size_t fed = session.tokens.size();
                bool right = ids.size() == state.generated && fed <= prompt + ids.size();
                for (size_t k = 0; k < ids.size(); k++)
                    right = right && ids[k] == int32_t((2 + k) % FakeExecutor::kVocab);
                for (size_t k = prompt; k < fed; k++)
                    right = right && session.tokens[k] == ids[k - prompt];
                if (state.status == DS4_JOB_DONE)
                    right = right && ids.size() == wanted && fed == prompt + wanted;
                wrong[size_t(client)] += right ? 0 : 1;
            }
        });
    }
    for (std::thread &client : clients) client.join();
    int all_done = 0, all_cancelled = 0, all_wrong = 0;
    for (int client = 0; client < kThreads; client++) {
        all_done += done[size_t(client)];
        all_cancelled += cancelled[size_t(client)];
        all_wrong += wrong[size_t(client)];
    }
    CHECK(all_done + all_cancelled == kThreads * kJobs);
    CHECK(all_wrong == 0);
    CHECK(all_done > 100 && all_cancelled > 100);
}

TEST("closing the scheduler while jobs run, wait and step joins without hanging") {
    for (int round = 0; round < 30; round++) {
        FakeExecutor executor;
        executor.step_time = std::chrono::microseconds(round * 100);
        std::array<FakeSession, 6> sessions;
        Scheduler scheduler(executor);
        for (FakeSession &session : sessions) scheduler.start(request(session, 10, 500));
        std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
    CHECK(true);
}
