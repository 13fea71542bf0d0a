// A real engine under concurrent calls of every kind. Run it under ThreadSanitizer and
// AddressSanitizer with -DDS4_SANITIZE.
#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "api/small_model_for_tests.h"
#include "base/test.h"
#include "ds4.h"

using namespace ds4::test;

TEST("closing a session that a job owns ends the job; a session opened next is not touched by it") {
    const SmallModel parts;
    const SmallEngine engine(parts);
    for (int round = 0; round < 20; round++) {
        ds4_session *session = engine.open_session();
        const uint64_t job = engine.start(session, {1, 2, 3}, 4000);
        std::this_thread::sleep_for(std::chrono::microseconds(round * 100));
        ds4_session_close(session);
        ds4_session *next = engine.open_session();
        CHECK(engine.poll(job).status == DS4_JOB_CANCELLED);
        engine.step(next, {4, 5});
        CHECK(ds4_session_position(next) == 2);
        CHECK(ds4_job_free(engine.engine, job) == DS4_OK);
        ds4_session_close(next);
    }
}

TEST("an engine closes while its jobs run") {
    const SmallModel parts;
    for (int round = 0; round < 10; round++) {
        ds4_session *sessions[3];
        {
            const SmallEngine engine(parts, round % 2 + 1);
            for (ds4_session *&session : sessions)
                engine.start(session = engine.open_session(), {1, 2, 3, 4, 5}, 4000);
            std::this_thread::sleep_for(std::chrono::microseconds(round * 300));
        }
        for (ds4_session *session : sessions) ds4_session_close(session);
    }
}

TEST("a step cancelled at any layer leaves the session where it was, and what follows is what "
     "would have followed") {
    const SmallModel parts;
    const SmallEngine engine(parts, 2);
    std::vector<int32_t> first(50), second(60);
    for (size_t i = 0; i < first.size(); i++) first[i] = int32_t(i * 5 % 48);
    for (size_t i = 0; i < second.size(); i++) second[i] = int32_t(i * 11 % 48);
    ds4_session *plain = engine.open_session(), *session = engine.open_session();
    engine.step(plain, first);
    engine.step(session, first);
    int cancelled = 0;
    std::atomic<bool> stop{false};
    std::thread canceller([&] {
        for (uint32_t i = 0; !stop; i++) {
            ds4_session_cancel(session);
            std::this_thread::sleep_for(std::chrono::microseconds(i % 7 * 100));
        }
    });
    for (int round = 0; round < 2000 && cancelled < 20; round++) {
        const ds4_step_item item{session, uint32_t(second.size()), DS4_LOGITS_NONE};
        const ds4_status status =
            ds4_engine_step(engine.engine, &item, 1, second.data(), second.size(), nullptr, 0);
        if (status == DS4_ERR_CANCELLED) cancelled++;
        CHECK(ds4_session_position(session) == (status == DS4_OK ? 110 : 50));
        if (status != DS4_OK) continue;
        ds4_session_reset(session);
        const ds4_step_item again{session, uint32_t(first.size()), DS4_LOGITS_NONE};
        while (ds4_engine_step(engine.engine, &again, 1, first.data(), first.size(), nullptr, 0) ==
               DS4_ERR_CANCELLED)
            cancelled++;
    }
    stop = true;
    canceller.join();
    CHECK(cancelled >= 20);
    CHECK(ds4_session_position(session) == 50);
    CHECK(engine.step(session, second) == engine.step(plain, second));
    ds4_session_close(plain);
    ds4_session_close(session);
}

TEST("jobs, steps, snapshots, cancels, closes and traces from many threads leave every session "
     "consistent") {
    const SmallModel parts;
    const SmallEngine engine(parts, 2);
    std::atomic<bool> stop{false};
    std::thread tracer([&] {
        for (uint32_t i = 0; !stop; i++) {
            ds4_engine_trace(engine.engine, i % 2);
            char text[4096];
            ds4_engine_trace_names(engine.engine, text, sizeof text);
            std::vector<float> values(1 << 16);
            uint64_t count = 0;
            ds4_engine_trace_read(engine.engine, "layer1.attn_in", values.data(), values.size(),
                                  &count);
            std::this_thread::sleep_for(std::chrono::microseconds(300));
        }
    });
    std::atomic<int> wrong{0};
    const auto client = [&](uint32_t seed) {
        std::mt19937 random(seed);
        for (int round = 0; round < 12; round++) {
            ds4_session *session = engine.open_session(200);
            std::vector<int32_t> prompt(1 + random() % 90);
            for (int32_t &token : prompt) token = int32_t(random() % 48);
            const uint64_t job = engine.start(session, prompt, 1 + random() % 150);
            const uint32_t kind = random() % 4;
            for (uint32_t i = random() % 6; i > 0; i--) {
                std::vector<uint8_t> saved(1 << 20); // the session grows meanwhile
                uint64_t written = 0;
                ds4_session *copy = engine.open_session(300);
                if (ds4_session_snapshot(session, saved.data(), saved.size(), &written) != DS4_OK)
                    wrong++;
                if (ds4_session_restore(copy, saved.data(), written) != DS4_OK) wrong++;
                engine.step(copy, {1});
                ds4_session_close(copy);
                ds4_session_bytes(session);
            }
            if (kind == 0) ds4_job_cancel(engine.engine, job);
            if (kind == 1) ds4_session_cancel(session);
            if (kind == 2) ds4_session_close(session);
            ds4_job_state state = engine.poll(job);
            while (state.status == DS4_JOB_RUNNING) {
                std::this_thread::sleep_for(std::chrono::microseconds(200));
                state = engine.poll(job);
            }
            if (state.status == DS4_JOB_FAILED) wrong++;
            if (kind != 2 && ds4_session_position(session) > prompt.size() + state.generated)
                wrong++;
            if (ds4_job_free(engine.engine, job) != DS4_OK) wrong++;
            if (kind != 2) ds4_session_close(session);
        }
    };
    std::vector<std::thread> clients;
    for (uint32_t i = 0; i < 3; i++) clients.emplace_back(client, i + 1);
    for (std::thread &each : clients) each.join();
    stop = true;
    tracer.join();
    CHECK(wrong == 0);
}
