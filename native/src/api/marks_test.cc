// Marks through the C interface: sessions that start from one, come back to one and save one.
#include <atomic>
#include <thread>

#include "api/mark_handle.h"
#include "api/small_model_for_tests.h"
#include "base/contains_for_tests.h"
#include "base/test.h"
#include "core/engine.h"

using namespace ds4;
using namespace ds4::test;

namespace {

// Around the borders of windows (8), ratios (4 and 128) and pages (2048) of the small model.
const std::vector<uint32_t> kPositions =
    kThreadSanitizer
        ? std::vector<uint32_t>{0, 3, 129}
        : std::vector<uint32_t>{0, 1, 3, 4, 7, 8, 9, 127, 128, 129, 2047, 2048, 2049, 4100};

std::vector<int32_t> tokens_of(uint32_t count, uint32_t stream) {
    std::vector<int32_t> tokens;
    for (uint32_t i = 0; i < count; i++)
        tokens.push_back(int32_t((i * 7919 + stream * 13 + i / 5) % 48));
    return tokens;
}

void feed(const SmallEngine &engine, ds4_session *session, const std::vector<int32_t> &tokens) {
    for (size_t begin = 0; begin < tokens.size(); begin += 64) {
        const uint32_t count = uint32_t(std::min<size_t>(64, tokens.size() - begin));
        const ds4_step_item item{session, count, DS4_LOGITS_NONE};
        expect_ok(
            ds4_engine_step(engine.engine, &item, 1, tokens.data() + begin, count, nullptr, 0));
    }
}

std::vector<uint8_t> snapshot(ds4_session *session) {
    std::vector<uint8_t> bytes(ds4_session_snapshot_bytes(session));
    uint64_t written = 0;
    expect_ok(ds4_session_snapshot(session, bytes.data(), bytes.size(), &written));
    CHECK(written == bytes.size());
    return bytes;
}

std::vector<uint8_t> regions(const ds4_mark *mark) {
    std::vector<uint8_t> bytes;
    for (uint32_t i = 0; i < ds4_mark_region_count(mark); i++) {
        std::vector<uint8_t> region(ds4_mark_region_bytes(mark, i));
        uint64_t written = 0;
        expect_ok(ds4_mark_read_region(mark, i, region.data(), region.size(), &written));
        CHECK(written == region.size());
        bytes.insert(bytes.end(), region.begin(), region.end());
    }
    return bytes;
}

ds4_mark *mark_of(ds4_session *session) {
    ds4_mark *mark = nullptr;
    expect_ok(ds4_session_mark(session, &mark));
    return mark;
}

ds4_session *open_at(const SmallEngine &engine, const ds4_mark *mark, uint32_t context = 8192) {
    const ds4_session_options options{sizeof options, context, mark};
    ds4_session *session = nullptr;
    expect_ok(ds4_session_open(engine.engine, &options, &session));
    return session;
}

struct Continued {
    std::vector<float> logits; // of every token of the continuation
    std::vector<uint8_t> bytes;
    bool operator==(const Continued &) const = default;
};

Continued go_on(const SmallEngine &engine, ds4_session *session,
                const std::vector<int32_t> &tokens) {
    Continued out;
    for (size_t begin = 0; begin < tokens.size(); begin += 32) {
        const uint32_t count = uint32_t(std::min<size_t>(32, tokens.size() - begin));
        const ds4_step_item item{session, count, DS4_LOGITS_ALL};
        std::vector<float> logits(count * 48);
        expect_ok(ds4_engine_step(engine.engine, &item, 1, tokens.data() + begin, count,
                                  logits.data(), logits.size()));
        out.logits.insert(out.logits.end(), logits.begin(), logits.end());
    }
    out.bytes = snapshot(session);
    return out;
}

} // namespace

TEST("two sessions from one mark and the one that made it go on as plain sessions do") {
    SmallModel parts;
    parts.shape.context_tokens = 8192;
    for (const uint32_t numerics : {DS4_NUMERICS_FAST, DS4_NUMERICS_TRAINED, DS4_NUMERICS_PLAIN}) {
        const SmallEngine engine(parts, 1, numerics);
        ds4_session *first = engine.open_session(8192);
        uint32_t before = 0;
        for (const uint32_t at : kPositions) {
            const std::vector<int32_t> prompt = tokens_of(at, 1);
            feed(engine, first, {prompt.begin() + before, prompt.end()});
            before = at;
            ds4_mark *mark = mark_of(first);
            CHECK(ds4_mark_position(mark) == at);
            ds4_session *left = open_at(engine, mark), *right = open_at(engine, mark);
            CHECK(ds4_session_position(left) == at);
            const std::vector<uint8_t> there = snapshot(left);
            CHECK(regions(mark) == there);
            // Each of the three writes its own rows where the others write theirs.
            const std::vector<int32_t> a = tokens_of(140, 2), b = tokens_of(140, 3);
            const Continued left_on = go_on(engine, left, a), right_on = go_on(engine, right, b);
            ds4_session *plain = engine.open_session(8192);
            feed(engine, plain, prompt);
            CHECK(snapshot(plain) == there);
            CHECK(go_on(engine, plain, a) == left_on);
            ds4_session *other = engine.open_session(8192);
            feed(engine, other, prompt);
            CHECK(go_on(engine, other, b) == right_on);
            CHECK(regions(mark) == there);
            CHECK(snapshot(first) == there);
            for (ds4_session *session : {left, right, plain, other}) ds4_session_close(session);
            ds4_mark_close(mark);
        }
        ds4_session_close(first);
    }
}

TEST("a session that is cut back to a mark goes on as if it had never left it") {
    SmallModel parts;
    parts.shape.context_tokens = 8192;
    for (const uint32_t numerics : {DS4_NUMERICS_FAST, DS4_NUMERICS_TRAINED, DS4_NUMERICS_PLAIN}) {
        const SmallEngine engine(parts, 1, numerics);
        ds4_session *session = engine.open_session(8192);
        std::vector<ds4_mark *> marks;
        std::vector<Continued> expected;
        const std::vector<int32_t> prompt = tokens_of(kPositions.back(), 1), a = tokens_of(20, 2);
        for (const uint32_t at : kPositions) {
            feed(engine, session,
                 {prompt.begin() + ds4_session_position(session), prompt.begin() + at});
            marks.push_back(mark_of(session));
            ds4_session *branch = open_at(engine, marks.back());
            expected.push_back(go_on(engine, branch, a));
            ds4_session_close(branch);
        }
        // Back and back again, to marks before and behind each other.
        const size_t last = kPositions.size() - 1;
        for (const size_t i : {last, last * 2 / 3, last / 3, size_t(0)}) {
            for (int times = 0; times < 2; times++) {
                expect_ok(ds4_session_cut(session, marks[i]));
                CHECK(ds4_session_position(session) == kPositions[i]);
                CHECK(go_on(engine, session, a) == expected[i]);
            }
            for (size_t later = i + 1; later < marks.size();
                 later++) // all that are not of a's path
                CHECK(ds4_session_cut(session, marks[later]) == DS4_ERR_ARGUMENT);
            CHECK(contains(ds4_last_error(), "has not passed the mark") || i == last);
            CHECK(snapshot(session) == expected[i].bytes);
        }
        for (size_t i = 0; i < marks.size(); i++) { // every mark is what it was
            ds4_session *branch = open_at(engine, marks[i]);
            CHECK(go_on(engine, branch, a) == expected[i]);
            ds4_session_close(branch);
        }
        for (ds4_mark *mark : marks) ds4_mark_close(mark);
        ds4_session_close(session);
    }
}

TEST("eight sessions from a mark of 16,384 tokens take little more memory than one") {
    SmallModel parts;
    parts.shape.context_tokens = 32768;
    const SmallEngine engine(parts);
    ds4_session *first = engine.open_session(32768);
    feed(engine, first, tokens_of(16384 + 100, 1));
    ds4_mark *mark = mark_of(first);
    const PagePool &pool = mark->mark->pool();
    const uint64_t one = pool.bytes();
    CHECK(one >= 9 * uint64_t(pool.pages.bytes()));
    std::vector<ds4_session *> sessions;
    for (uint32_t i = 0; i < 8; i++) {
        sessions.push_back(open_at(engine, mark, 32768));
        feed(engine, sessions.back(), tokens_of(70, i));
        CHECK(ds4_session_bytes(sessions.back()) >= 9 * uint64_t(pool.pages.bytes()));
    }
    // Each has its own copy of the last page and no other.
    CHECK(pool.bytes() == one + 8 * uint64_t(pool.pages.bytes()));
    for (ds4_session *session : sessions) ds4_session_close(session);
    CHECK(pool.bytes() == one);
    ds4_session_close(first);
    CHECK(pool.bytes() == one); // the mark holds its pages
    ds4_mark_close(mark);
}

TEST("marks are taken between the steps of a running job, which goes on") {
    const SmallModel parts;
    const SmallEngine engine(parts);
    ds4_session *session = engine.open_session(), *undisturbed = engine.open_session();
    const std::vector<int32_t> prompt = tokens_of(300, 1);
    const uint64_t reference = engine.start(undisturbed, prompt, 600);
    const auto finish = [&](uint64_t job) {
        while (engine.poll(job).status == DS4_JOB_RUNNING)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return engine.poll(job).status;
    };
    CHECK(finish(reference) == DS4_JOB_DONE);
    const std::vector<uint8_t> whole = snapshot(undisturbed);
    const uint64_t job = engine.start(session, prompt, 600);
    std::vector<ds4_mark *> marks;
    while (engine.poll(job).status == DS4_JOB_RUNNING && marks.size() < 40) {
        marks.push_back(mark_of(session));
        CHECK(ds4_session_cut(session, marks.back()) != DS4_OK ||
              engine.poll(job).status != DS4_JOB_RUNNING);
    }
    CHECK(finish(job) == DS4_JOB_DONE);
    CHECK(snapshot(session) == whole);
    CHECK(marks.size() > 3);
    for (ds4_mark *mark : marks) {
        // The tokens of the finished sequence, from the mark on, lead to the same state.
        const uint32_t at = ds4_mark_position(mark), end = ds4_session_position(session);
        std::vector<int32_t> rest;
        ds4_mark *last = mark_of(session);
        for (uint32_t i = at; i < end; i++)
            rest.push_back(last->mark->pages()[i / 2048]->tokens[i % 2048]);
        ds4_session *branch = open_at(engine, mark, 4096);
        feed(engine, branch, rest);
        CHECK(snapshot(branch) == whole);
        ds4_session_close(branch);
        ds4_mark_close(mark), ds4_mark_close(last);
    }
    for (const uint64_t id : {job, reference}) expect_ok(ds4_job_free(engine.engine, id));
    ds4_session_close(session), ds4_session_close(undisturbed);
}

TEST("a mark is imported from its regions, also into another engine of the same model") {
    const SmallModel parts;
    const SmallEngine engine(parts), second(parts, 2);
    ds4_session *session = engine.open_session();
    feed(engine, session, tokens_of(2100, 1));
    ds4_mark *mark = mark_of(session);
    const std::vector<uint8_t> bytes = regions(mark);
    ds4_mark_import *import = nullptr;
    expect_ok(ds4_mark_import_open(second.engine, &import));
    for (size_t begin = 0; begin < bytes.size(); begin += 5000)
        expect_ok(ds4_mark_import_write(import, bytes.data() + begin,
                                        std::min<size_t>(5000, bytes.size() - begin)));
    ds4_mark *imported = nullptr;
    expect_ok(ds4_mark_import_finish(import, &imported));
    ds4_mark_import_close(import);
    CHECK(ds4_mark_position(imported) == 2100 && regions(imported) == bytes);
    ds4_session *there = open_at(second, imported, 4096);
    const std::vector<int32_t> rest = tokens_of(40, 2);
    CHECK(go_on(second, there, rest) == go_on(engine, session, rest));
    // Marks stay in their engine, and a session needs room for one.
    ds4_session *none = nullptr;
    const ds4_session_options foreign{sizeof foreign, 4096, mark},
        small{sizeof small, 2099, imported};
    CHECK(ds4_session_open(second.engine, &foreign, &none) == DS4_ERR_ARGUMENT);
    CHECK(contains(ds4_last_error(), "another engine"));
    CHECK(ds4_session_open(second.engine, &small, &none) == DS4_ERR_CONTEXT_FULL);
    CHECK(ds4_session_cut(there, mark) == DS4_ERR_ARGUMENT && none == nullptr);
    uint64_t written = 0;
    uint8_t few[8];
    CHECK(ds4_mark_read_region(mark, 9, few, 8, &written) == DS4_ERR_ARGUMENT);
    CHECK(ds4_mark_read_region(mark, 0, few, 8, &written) == DS4_ERR_ARGUMENT);
    CHECK(contains(ds4_last_error(), "region 0 takes 48 bytes"));
    ds4_session_close(there), ds4_session_close(session);
    ds4_mark_close(imported), ds4_mark_close(mark);
}

TEST("a snapshot of other weights in the same shape is refused, and one of other threads is not") {
    const SmallModel parts, changed({DS4_TYPE_F32, 0, 1});
    const SmallEngine engine(parts), other(changed), many(parts, 3);
    ds4_session *session = engine.open_session(), *stranger = other.open_session(),
                *alike = many.open_session();
    feed(engine, session, tokens_of(30, 1));
    const std::vector<uint8_t> bytes = snapshot(session);
    CHECK(ds4_session_restore(stranger, bytes.data(), bytes.size()) == DS4_ERR_FORMAT);
    CHECK(contains(ds4_last_error(), "made by another model"));
    expect_ok(ds4_session_restore(alike, bytes.data(), bytes.size()));
    CHECK(snapshot(alike) == bytes);
    for (ds4_session *open : {session, stranger, alike}) ds4_session_close(open);
}

TEST("marks outlive their sessions and their engine") {
    const SmallModel parts;
    ds4_mark *mark = nullptr;
    std::vector<uint8_t> bytes;
    {
        const SmallEngine engine(parts);
        ds4_session *session = engine.open_session();
        feed(engine, session, tokens_of(150, 1));
        mark = mark_of(session);
        bytes = snapshot(session);
        ds4_session_close(session);
    }
    CHECK(regions(mark) == bytes && ds4_mark_bytes(mark) > 0);
    ds4_mark_close(mark);
    ds4_mark_close(nullptr);
}
