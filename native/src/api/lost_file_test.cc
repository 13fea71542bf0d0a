#include <unistd.h>

#include <thread>

#include "api/small_model_for_tests.h"
#include "base/test.h"

using namespace ds4::test;

TEST("a model file that is truncated while in use fails its steps; other models go on") {
    const SmallModel parts, others;
    const SmallEngine engine(parts, 2), other(others);
    ds4_session *session = engine.open_session(), *beside = other.open_session();
    engine.step(session, {1, 2, 3});
    CHECK(::truncate(parts.path.c_str(), 4096) == 0);
    const ds4_step_item item{session, 2, DS4_LOGITS_NONE};
    const int32_t tokens[2] = {4, 5};
    for (int round = 0; round < 3; round++) {
        CHECK(ds4_engine_step(engine.engine, &item, 1, tokens, 2, nullptr, 0) == DS4_ERR_IO);
        const std::string text = ds4_last_error();
        CHECK(text.find(parts.path) != std::string::npos);
        CHECK(text.find("truncated") != std::string::npos);
        CHECK(ds4_session_position(session) == 3);
        other.step(beside, {1, 2});
    }
    uint64_t job = 0;
    expect_ok(engine.try_start(session, {1, 2}, 4, job));
    ds4_job_state state = engine.poll(job);
    for (; state.status == DS4_JOB_RUNNING; state = engine.poll(job)) std::this_thread::yield();
    CHECK(state.status == DS4_JOB_FAILED && state.error == DS4_ERR_IO);
    expect_ok(ds4_job_free(engine.engine, job));
    ds4_session_close(session);
    ds4_session_close(beside);
}
