// Marks that a job takes of its session while it reads the prompt, writes the answer and ends.
#include <chrono>
#include <thread>

#include "api/mark_handle.h"
#include "api/small_model_for_tests.h"
#include "base/contains_for_tests.h"
#include "base/test.h"

using namespace ds4;
using namespace ds4::test;

namespace {

struct JobMarks {
    std::vector<uint32_t> offsets;
    uint32_t interval = 0, end = 0;
};

ds4_status start(const SmallEngine &engine, ds4_session *session,
                 const std::vector<int32_t> &prompt, uint32_t max_tokens, const JobMarks &marks,
                 uint64_t &job) {
    ds4_job_options options{};
    options.struct_bytes = sizeof options, options.max_tokens = max_tokens;
    options.think_close_token = -1;
    options.sampling.struct_bytes = sizeof options.sampling;
    options.sampling.temperature = 1.0f, options.sampling.seed = 7;
    options.mark_offsets = marks.offsets.data(),
    options.mark_count = uint32_t(marks.offsets.size());
    options.mark_interval = marks.interval, options.mark_end = marks.end;
    return ds4_job_start(engine.engine, session, &options, prompt.data(), uint32_t(prompt.size()),
                         nullptr, nullptr, 0, &job);
}

ds4_job_state finish(const SmallEngine &engine, uint64_t job) {
    ds4_job_state state = engine.poll(job);
    for (; state.status == DS4_JOB_RUNNING; state = engine.poll(job))
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return state;
}

std::vector<ds4_mark *> marks_of(const SmallEngine &engine, uint64_t job) {
    std::vector<ds4_mark *> marks;
    for (;;) {
        ds4_mark *mark = nullptr;
        expect_ok(ds4_job_take_mark(engine.engine, job, &mark));
        if (mark == nullptr) return marks;
        marks.push_back(mark);
    }
}

std::vector<uint32_t> positions(const std::vector<ds4_mark *> &marks) {
    std::vector<uint32_t> positions;
    for (const ds4_mark *mark : marks) positions.push_back(ds4_mark_position(mark));
    return positions;
}

std::vector<int32_t> tokens_of(uint32_t count) {
    std::vector<int32_t> tokens;
    for (uint32_t i = 0; i < count; i++) tokens.push_back(int32_t((i * 7919 + i / 5) % 48));
    return tokens;
}

std::vector<uint8_t> snapshot(ds4_session *session) {
    std::vector<uint8_t> bytes(ds4_session_snapshot_bytes(session));
    uint64_t written = 0;
    expect_ok(ds4_session_snapshot(session, bytes.data(), bytes.size(), &written));
    return bytes;
}

} // namespace

TEST("a job marks its session behind given prompt tokens, at an interval and at its end") {
    const SmallModel parts;
    const SmallEngine engine(parts);
    ds4_session *plain = engine.open_session(), *session = engine.open_session();
    const std::vector<int32_t> before = tokens_of(10), prompt = tokens_of(300);
    for (ds4_session *each : {plain, session}) engine.step(each, before);
    const uint64_t reference = engine.start(plain, prompt, 100);
    finish(engine, reference);
    uint64_t job = 0;
    expect_ok(start(engine, session, prompt, 100, {{1, 7, 118, 299}, 128, 1}, job));
    const ds4_job_state state = finish(engine, job);
    // Positions: offsets from 10, multiples of 128, and the end. 128 is also offset 118.
    const std::vector<uint32_t> expected{11, 17, 128, 256, 309, 384, 410};
    CHECK(state.pending_marks == expected.size());
    std::vector<ds4_mark *> marks = marks_of(engine, job);
    CHECK(positions(marks) == expected);
    CHECK(engine.poll(job).pending_marks == 0);
    // The marks have disturbed nothing, and each leads to the same state.
    const std::vector<uint8_t> whole = snapshot(plain);
    CHECK(snapshot(session) == whole);
    for (ds4_mark *mark : marks) {
        const ds4_session_options options{sizeof options, 4096, mark};
        ds4_session *branch = nullptr;
        expect_ok(ds4_session_open(engine.engine, &options, &branch));
        const Page &page = *marks.back()->mark->pages()[0];
        for (uint32_t at = ds4_mark_position(mark); at < 410;) {
            const uint32_t count = std::min(64u, 410 - at);
            engine.step(branch, {page.tokens.data() + at, page.tokens.data() + at + count});
            at += count;
        }
        CHECK(snapshot(branch) == whole);
        ds4_session_close(branch);
    }
    for (ds4_mark *mark : marks) ds4_mark_close(mark);
    for (const uint64_t id : {job, reference}) expect_ok(ds4_job_free(engine.engine, id));
    ds4_session_close(plain), ds4_session_close(session);
}

TEST("a cancelled job leaves a mark of where its session stands") {
    const SmallModel parts;
    const SmallEngine engine(parts);
    ds4_session *session = engine.open_session();
    uint64_t job = 0;
    expect_ok(start(engine, session, tokens_of(200), 3000, {{}, 0, 1}, job));
    while (engine.poll(job).generated < 3) std::this_thread::yield();
    expect_ok(ds4_job_cancel(engine.engine, job));
    CHECK(finish(engine, job).status == DS4_JOB_CANCELLED);
    const std::vector<ds4_mark *> marks = marks_of(engine, job);
    CHECK(positions(marks) == std::vector<uint32_t>{ds4_session_position(session)});
    for (ds4_mark *mark : marks) ds4_mark_close(mark);
    expect_ok(ds4_job_free(engine.engine, job));
    ds4_session_close(session);
}

TEST("bytes that only a mark holds are its own, and all of them are the engine's cache") {
    const SmallModel parts;
    const SmallEngine engine(parts);
    ds4_session *session = engine.open_session();
    uint64_t job = 0;
    expect_ok(start(engine, session, tokens_of(2100), 1, {{2048}, 0, 1}, job));
    finish(engine, job);
    std::vector<ds4_mark *> marks = marks_of(engine, job);
    expect_ok(ds4_job_free(engine.engine, job));
    CHECK(marks.size() == 2);
    const uint64_t page = marks[0]->mark->pool().page_bytes();
    const uint64_t recent = marks[1]->mark->recent_bytes();
    CHECK(ds4_mark_own_bytes(marks[1]) == recent); // the session holds both pages
    ds4_session_close(session);
    CHECK(ds4_mark_own_bytes(marks[1]) == recent + page); // the other mark holds the first one
    CHECK(ds4_mark_bytes(marks[1]) == recent + 2 * page);
    CHECK(ds4_engine_cache_room(engine.engine) > (64u << 20));
    const uint64_t all = ds4_engine_cache_bytes(engine.engine);
    const uint64_t own = ds4_mark_own_bytes(marks[0]);
    ds4_mark_close(marks[0]);
    CHECK(ds4_engine_cache_bytes(engine.engine) == all - own);
    CHECK(ds4_mark_own_bytes(marks[1]) == recent + 2 * page);
    ds4_mark_close(marks[1]);
    CHECK(ds4_engine_cache_bytes(engine.engine) == 0);
}

TEST("a mark tells its tokens, and a second handle keeps it when the first is closed") {
    SmallModel parts;
    parts.shape.context_tokens = 8192;
    const SmallEngine engine(parts);
    for (const uint32_t at : {0u, 5u, 2048u, 4100u}) {
        ds4_session *session = engine.open_session(8192);
        const std::vector<int32_t> prompt = tokens_of(at);
        for (uint32_t begin = 0; begin < at; begin += 64)
            engine.step(session,
                        {prompt.begin() + begin, prompt.begin() + std::min(begin + 64, at)});
        ds4_mark *mark = nullptr, *second = nullptr;
        expect_ok(ds4_session_mark(session, &mark));
        expect_ok(ds4_mark_share(mark, &second));
        ds4_mark_close(mark), ds4_session_close(session);
        std::vector<int32_t> tokens(at + 1, -7);
        expect_ok(ds4_mark_tokens(second, tokens.data(), at + 1));
        CHECK(std::equal(prompt.begin(), prompt.end(), tokens.begin()) && tokens[at] == -7);
        CHECK(at == 0 || ds4_mark_tokens(second, tokens.data(), at - 1) == DS4_ERR_ARGUMENT);
        ds4_mark_close(second);
    }
}

TEST("mark offsets outside the prompt or out of order are refused") {
    const SmallModel parts;
    const SmallEngine engine(parts);
    ds4_session *session = engine.open_session();
    uint64_t job = 0;
    for (const std::vector<uint32_t> &offsets :
         {std::vector<uint32_t>{0}, {20}, {5, 5}, {7, 3}, {0xffffffff}}) {
        CHECK(start(engine, session, tokens_of(20), 1, {offsets, 0, 0}, job) == DS4_ERR_ARGUMENT);
        CHECK(contains(ds4_last_error(), "mark offset"));
    }
    CHECK(start(engine, session, tokens_of(20), 1, {{}, 0, 2}, job) == DS4_ERR_ARGUMENT);
    CHECK(contains(ds4_last_error(), "mark_end"));
    ds4_session_close(session);
}
