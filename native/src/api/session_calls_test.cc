// Calls on a session while a job, a step or the end of its engine comes in between.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "api/small_model_for_tests.h"
#include "base/test.h"
#include "core/engine.h"

using namespace ds4;
using namespace ds4::test;

namespace {

// Keeps the engine from stepping while it lives: the trace is read between steps.
class StepsHeldBack {
  public:
    explicit StepsHeldBack(ds4_engine *engine)
        : thread_([this, engine] {
              engine->engine->trace().read([this](const Trace *) {
                  std::unique_lock lock(mutex_);
                  holds_ = true;
                  changed_.notify_all();
                  changed_.wait(lock, [this] { return !holds_; });
              });
          }) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return holds_; });
    }
    ~StepsHeldBack() {
        {
            std::lock_guard lock(mutex_);
            holds_ = false;
        }
        changed_.notify_all();
        thread_.join();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool holds_ = false;
    std::thread thread_;
};

void rest() { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }

ds4_job_state finish(const SmallEngine &engine, uint64_t job) {
    ds4_job_state state = engine.poll(job);
    for (; state.status == DS4_JOB_RUNNING; state = engine.poll(job)) rest();
    return state;
}

std::vector<uint8_t> snapshot(ds4_session *session) {
    std::vector<uint8_t> bytes(ds4_session_snapshot_bytes(session) + (4 << 20));
    uint64_t written = 0;
    expect_ok(ds4_session_snapshot(session, bytes.data(), bytes.size(), &written));
    bytes.resize(written);
    return bytes;
}

} // namespace

TEST("calls that would change a session are refused while a job owns it, and change nothing") {
    const SmallModel parts;
    const SmallEngine engine(parts);
    ds4_session *session = engine.open_session(), *undisturbed = engine.open_session();
    const std::vector<int32_t> prompt{1, 2, 3, 4, 5};
    const std::vector<uint8_t> empty = snapshot(session);
    const uint64_t reference = engine.start(undisturbed, prompt, 2000);
    CHECK(finish(engine, reference).status == DS4_JOB_DONE);
    const uint64_t job = engine.start(session, prompt, 2000);
    // Between the holds the job takes some of its steps; while one lasts it cannot end.
    for (int round = 0; round < 4; round++, rest()) {
        const StepsHeldBack held(engine.engine);
        CHECK(engine.poll(job).status == DS4_JOB_RUNNING);
        CHECK(ds4_session_reset(session) == DS4_ERR_ARGUMENT);
        CHECK(std::string(ds4_last_error()).find("belongs to a running job") != std::string::npos);
        CHECK(ds4_session_restore(session, empty.data(), empty.size()) == DS4_ERR_ARGUMENT);
        const ds4_step_item item{session, 2, DS4_LOGITS_NONE};
        const int32_t tokens[2] = {7, 8};
        CHECK(ds4_engine_step(engine.engine, &item, 1, tokens, 2, nullptr, 0) == DS4_ERR_ARGUMENT);
    }
    CHECK(finish(engine, job).status == DS4_JOB_DONE);
    CHECK(snapshot(session) == snapshot(undisturbed));
    expect_ok(ds4_session_reset(session));
    CHECK(ds4_session_position(session) == 0);
    for (const uint64_t id : {job, reference}) expect_ok(ds4_job_free(engine.engine, id));
    ds4_session_close(session);
    ds4_session_close(undisturbed);
}

TEST("a job cancelled while its step waits for another caller's is cancelled, not run") {
    const SmallModel parts;
    const SmallEngine engine(parts);
    ds4_session *session = engine.open_session();
    uint64_t job = 0;
    {
        const StepsHeldBack held(engine.engine);
        job = engine.start(session, {1, 2, 3}, 5);
        std::this_thread::sleep_for(std::chrono::milliseconds(50)); // the step has been accepted
        expect_ok(ds4_job_cancel(engine.engine, job));
    }
    CHECK(finish(engine, job).status == DS4_JOB_CANCELLED);
    CHECK(ds4_session_position(session) == 0);
    expect_ok(ds4_job_free(engine.engine, job));
    ds4_session_close(session);
}

TEST("a job started while another caller's step runs has the room that the step leaves") {
    const SmallModel parts;
    const SmallEngine engine(parts);
    constexpr uint32_t kContext = 16;
    ds4_session *session = engine.open_session(kContext);
    struct : StepListener {
        void step_done() noexcept override {}
    } nobody;
    std::vector<int32_t> tokens{1, 2, 3, 4};
    std::thread caller;
    uint64_t job = 0;
    {
        const StepsHeldBack held(engine.engine);
        caller = std::thread([&] {
            const ds4_step_item item{session, uint32_t(tokens.size()), DS4_LOGITS_NONE};
            expect_ok(
                ds4_engine_step(engine.engine, &item, 1, tokens.data(), tokens.size(), nullptr, 0));
        });
        Engine &core = *engine.engine->engine;
        for (; core.may_step(session, nobody); rest()) core.end_planning();
        job = engine.start(session, {5, 6, 7, 8, 9}, 1000);
    }
    caller.join();
    const ds4_job_state state = finish(engine, job);
    CHECK(state.status == DS4_JOB_DONE);
    CHECK(state.finish == DS4_FINISH_CONTEXT);
    CHECK(ds4_session_position(session) == kContext);
    expect_ok(ds4_job_free(engine.engine, job));
    ds4_session_close(session);
}

TEST("calls that wait for a session are served in the order in which they came") {
    const SmallModel parts;
    const SmallEngine engine(parts);
    ds4_session *session = engine.open_session();
    const auto step = [&](uint32_t count) {
        const std::vector<int32_t> tokens(count, 3);
        const ds4_step_item item{session, count, DS4_LOGITS_NONE};
        expect_ok(ds4_engine_step(engine.engine, &item, 1, tokens.data(), count, nullptr, 0));
    };
    std::vector<uint8_t> saved(8 << 20);
    uint64_t bytes = 0;
    for (int round = 0; round < 5; round++) {
        expect_ok(ds4_session_reset(session));
        std::vector<std::thread> callers;
        {
            const StepsHeldBack held(engine.engine);
            const auto come = [&](auto call) {
                callers.emplace_back(call);
                std::this_thread::sleep_for(std::chrono::milliseconds(30));
            };
            come([&] { step(5); });
            come([&] {
                expect_ok(ds4_session_snapshot(session, saved.data(), saved.size(), &bytes));
            });
            for (int i = 0; i < 4; i++) come([&] { step(7); });
        }
        for (std::thread &caller : callers) caller.join();
        CHECK(ds4_session_position(session) == 5 + 4 * 7);
        expect_ok(ds4_session_restore(session, saved.data(), bytes));
        CHECK(ds4_session_position(session) == 5);
    }
    ds4_session_close(session);
}

TEST("a session that a step has been allowed on is kept from other calls until planning ends") {
    struct Listener : StepListener {
        std::atomic<int> told{0};
        void step_done() noexcept override { told++; }
    } listener;
    const SmallModel parts;
    const SmallEngine engine(parts);
    ds4_session *session = engine.open_session();
    Engine &core = *engine.engine->engine;
    CHECK(core.may_step(session, listener));
    std::atomic<bool> has_begun{false}, goes_on{false};
    std::thread caller([&] {
        core.change_session(session, [&](SequenceState &) {
            has_begun = true;
            while (!goes_on) std::this_thread::yield();
        });
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK(!has_begun);
    core.end_planning();
    while (!has_begun) std::this_thread::yield();
    CHECK(!core.may_step(session, listener) && listener.told == 0);
    goes_on = true;
    caller.join();
    CHECK(listener.told > 0 && core.may_step(session, listener));
    core.end_planning();
    ds4_session_close(session);
}

TEST("a session may be cancelled from another thread while its engine is closed") {
    const SmallModel parts;
    for (int round = 0; round < 50; round++) {
        auto engine = std::make_unique<SmallEngine>(parts);
        ds4_session *session = engine->open_session();
        std::atomic<bool> stop{false};
        std::thread other([&] {
            while (!stop) ds4_session_cancel(session);
        });
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        engine.reset();
        CHECK(ds4_session_cancel(session) == DS4_ERR_ARGUMENT);
        stop = true;
        other.join();
        ds4_session_close(session);
    }
}
