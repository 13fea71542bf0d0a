#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "api/small_model_for_tests.h"
#include "base/contains_for_tests.h"
#include "base/test.h"

using namespace ds4::test;

namespace {

// Experts and dense matrices of such a model are packed when an engine opens.
const SmallModelOptions kPackable{.type = DS4_TYPE_Q8_0, .width = 256};

ds4_engine_options options_for(uint32_t experts, ds4_load_progress *progress = nullptr) {
    ds4_engine_options options{};
    options.struct_bytes = sizeof options, options.threads = 2, options.max_step_tokens = 64;
    options.session_tokens = 64, options.experts = experts, options.progress = progress;
    return options;
}

struct Opened {
    ds4_status status;
    std::string text; // of the error
};

Opened open_and_close(ds4_model *model, const ds4_engine_options &options) {
    ds4_engine *engine = nullptr;
    const ds4_status status = ds4_engine_open(model, &options, &engine);
    const Opened opened{status, status == DS4_OK ? "" : ds4_last_error()};
    ds4_engine_close(engine);
    return opened;
}

bool names_lost_file(const Opened &opened, const SmallModel &parts) {
    return opened.status == DS4_ERR_IO && contains(opened.text, parts.path.c_str()) &&
           contains(opened.text, "truncated") && contains(opened.text, "load the model again");
}

// Blocks all signals of the calling thread, as the threads of some hosts do.
struct AllBlocked {
    AllBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
    }
    ~AllBlocked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
    sigset_t before;
};

} // namespace

TEST("a model file truncated before an engine opens is an error that names it, wherever it ends") {
    for (const uint32_t experts : {DS4_EXPERTS_PACKED, DS4_EXPERTS_MAPPED})
        for (int eighth = 0; eighth < 8; eighth++) {
            const SmallModel parts(kPackable);
            ds4_model *model = parts.open();
            const off_t left = off_t(parts.file_bytes() * uint64_t(eighth) / 8);
            CHECK(::truncate(parts.path.c_str(), left) == 0);
            for (int round = 0; round < 2; round++)
                CHECK(names_lost_file(open_and_close(model, options_for(experts)), parts));
            ds4_model_close(model);
        }
}

TEST("a truncated file is an error for threads of a host that blocks all signals") {
    const SmallModel parts(kPackable);
    ds4_model *model = parts.open(), *bare = parts.create();
    CHECK(::truncate(parts.path.c_str(), 4096) == 0);
    {
        const AllBlocked blocked;
        CHECK(names_lost_file(open_and_close(model, options_for(DS4_EXPERTS_PACKED)), parts));
        // Adding the routing table reads it.
        expect_ok(ds4_model_add_tensors(bare, parts.tensors.data(), parts.tensors.size(),
                                        parts.names.data(), parts.names.size()));
        CHECK(ds4_model_seal(bare) == DS4_ERR_IO);
        CHECK(contains(ds4_last_error(), parts.path.c_str()));
    }
    ds4_model_close(model);
    ds4_model_close(bare);
}

TEST("a file truncated while experts or dense matrices are packed is an error, at any moment") {
    for (const uint32_t experts : {DS4_EXPERTS_PACKED, DS4_EXPERTS_MAPPED}) {
        int lost = 0;
        for (int round = 0; round < 40 && lost < 4; round++) {
            const SmallModel parts(kPackable);
            ds4_model *model = parts.open();
            ds4_load_progress progress{};
            std::atomic<bool> stop{false};
            std::thread truncator([&] {
                const std::atomic_ref<uint64_t> done(progress.done_bytes);
                while (done.load() == 0 && !stop) {
                }
                CHECK(::truncate(parts.path.c_str(), 4096) == 0);
            });
            const Opened opened = open_and_close(model, options_for(experts, &progress));
            stop = true;
            truncator.join();
            CHECK(opened.status == DS4_OK || names_lost_file(opened, parts));
            lost += opened.status == DS4_OK ? 0 : 1;
            ds4_model_close(model);
        }
        CHECK(lost == 4);
    }
}

TEST("a model file that is written to while it loads is an error; one put in its place is not") {
    const SmallModel parts(kPackable), other(kPackable);
    ds4_model *model = parts.open(), *moved = other.open();
    const timespec times[2] = {{0, UTIME_OMIT}, {1'000'000'000, 0}};
    CHECK(::utimensat(AT_FDCWD, parts.path.c_str(), times, 0) == 0);
    const Opened written = open_and_close(model, options_for(DS4_EXPERTS_PACKED));
    CHECK(written.status == DS4_ERR_IO && contains(written.text, parts.path.c_str()));
    CHECK(contains(written.text, "written to"));
    const SmallModel in_place;
    CHECK(::rename(in_place.path.c_str(), other.path.c_str()) == 0);
    CHECK(open_and_close(moved, options_for(DS4_EXPERTS_PACKED)).status == DS4_OK);
    ds4_model_close(model);
    ds4_model_close(moved);
}

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
