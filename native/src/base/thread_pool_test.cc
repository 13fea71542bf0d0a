#include "base/thread_pool.h"

#include <pthread.h>
#include <signal.h>

#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/test.h"
#include "ds4.h"

namespace ds4 {

TEST("every worker runs once in each of 100000 tiny regions") {
    for (const int threads : {1, 2, 3}) {
        ThreadPool pool(threads);
        CHECK(pool.threads() == threads);
        std::vector<int64_t> calls(static_cast<size_t>(threads));
        bool is_right = true;
        for (int64_t region = 1; region <= 100000; region++) {
            pool.run([&](int worker, int workers) { calls[size_t(worker)] += workers; });
            for (const int64_t count : calls) is_right = is_right && count == region * threads;
        }
        CHECK(is_right);
    }
}

TEST("the caller is worker 0 and the others are other threads") {
    ThreadPool pool(3);
    std::vector<std::thread::id> ids(3);
    pool.run([&](int worker, int) { ids[size_t(worker)] = std::this_thread::get_id(); });
    CHECK(ids[0] == std::this_thread::get_id());
    CHECK(ids[1] != ids[0] && ids[2] != ids[0] && ids[1] != ids[2]);
}

TEST("an exception of any worker reaches the caller and the pool stays usable") {
    ThreadPool pool(3);
    for (int thrower = 0; thrower < 3; thrower++) {
        std::atomic<int> finished{0};
        std::string text;
        try {
            pool.run([&](int worker, int) {
                if (worker == thrower) throw std::runtime_error("worker " + std::to_string(worker));
                finished++;
            });
        } catch (const std::runtime_error &error) {
            text = error.what();
        }
        CHECK(text == "worker " + std::to_string(thrower));
        CHECK(finished == 2);
    }
    std::atomic<int> calls{0};
    pool.run([&](int, int) { calls++; });
    CHECK(calls == 3);
}

TEST("workers wake after a long pause, and an idle pool uses no CPU time") {
    ThreadPool pool(3);
    std::atomic<int> calls{0};
    pool.run([&](int, int) { calls++; });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    timespec before{}, after{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    const double used_ms =
        double(after.tv_sec - before.tv_sec) * 1e3 + double(after.tv_nsec - before.tv_nsec) * 1e-6;
    CHECK(used_ms < 20);
    pool.run([&](int, int) { calls++; });
    CHECK(calls == 6);
}

TEST("pools come and go while their workers spin or sleep") {
    for (int i = 0; i < 300; i++) {
        ThreadPool pool(1 + i % 4);
        std::atomic<int> calls{0};
        for (int region = 0; region < i % 3; region++) pool.run([&](int, int) { calls++; });
        CHECK(calls == (1 + i % 4) * (i % 3));
    }
    bool is_refused = false;
    try {
        ThreadPool none(0);
    } catch (const Error &error) {
        is_refused = error.status() == DS4_ERR_ARGUMENT;
    }
    CHECK(is_refused);
}

TEST("workers take their own faults, whatever the thread that starts them blocks") {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ThreadPool pool(3);
    std::atomic<int> blocked_faults{0}, open_signals{0};
    pool.run([&](int worker, int) {
        sigset_t mask;
        pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        if (worker == 0) return;
        blocked_faults += sigismember(&mask, SIGBUS) + sigismember(&mask, SIGSEGV);
        open_signals += 1 - sigismember(&mask, SIGTERM);
    });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    CHECK(blocked_faults == 0 && open_signals == 0);
}

TEST("workers take no signal of the process but those of their own faults") {
    ThreadPool pool(3);
    std::atomic<int> wrong{0};
    pool.run([&](int worker, int) {
        sigset_t blocked;
        pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
        const bool is_caller = worker == 0;
        if (sigismember(&blocked, SIGINT) != (is_caller ? 0 : 1)) wrong++;
        if (sigismember(&blocked, SIGBUS) != 0) wrong++;
    });
    CHECK(wrong == 0);
}

TEST("shares cover everything once, begin at steps and differ by at most one step") {
    for (const int64_t count : {0, 1, 7, 8, 63, 64, 1000})
        for (const int workers : {1, 2, 3, 7})
            for (const int64_t step : {1, 8}) {
                int64_t next = 0, smallest = count + step, largest = 0;
                for (int worker = 0; worker < workers; worker++) {
                    const WorkRange range = share(count, worker, workers, step);
                    CHECK(range.begin == next && range.end >= range.begin);
                    CHECK(range.begin % step == 0 || range.begin == count);
                    next = range.end;
                    const int64_t steps = (range.end - range.begin + step - 1) / step;
                    smallest = steps < smallest ? steps : smallest;
                    largest = steps > largest ? steps : largest;
                }
                CHECK(next == count);
                CHECK(largest - smallest <= 1);
            }
}

} // namespace ds4
