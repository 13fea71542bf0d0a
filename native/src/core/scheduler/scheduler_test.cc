#include "core/scheduler/scheduler.h"

#include <algorithm>
#include <random>

#include "base/error.h"
#include "base/test.h"
#include "core/scheduler/fake_executor.h"
#include "core/scheduler/generation_request.h"
#include "ds4.h"

using namespace ds4;
using ds4::test::FakeExecutor;
using ds4::test::FakeSession;

namespace {

// texts: those of tokens 0, 1 and so on.
void set_texts(Scheduler &scheduler, const std::vector<std::string> &texts) {
    std::vector<uint8_t> bytes;
    std::vector<uint32_t> offsets = {0};
    for (const std::string &text : texts) {
        bytes.insert(bytes.end(), text.begin(), text.end());
        offsets.push_back(uint32_t(bytes.size()));
    }
    scheduler.set_vocabulary(bytes, offsets);
}

// Token t is the one byte '0' + t.
void set_letters(Scheduler &scheduler) {
    std::vector<std::string> texts;
    for (uint32_t id = 0; id < FakeExecutor::kVocab; id++)
        texts.push_back(std::string(1, char('0' + id)));
    set_texts(scheduler, texts);
}

GenerationRequest request(FakeSession &session, std::vector<int32_t> prompt, uint32_t max_tokens) {
    GenerationRequest made{session.handle(), {}, std::move(prompt), {}, {}, {}, {}};
    made.options.struct_bytes = sizeof(ds4_job_options);
    made.options.max_tokens = max_tokens;
    made.options.think_close_token = -1;
    made.options.sampling = {sizeof(ds4_sampling), 0.0f, 1.0f, 0.0f, 0, 0, 1};
    return made;
}

struct Result {
    std::vector<int32_t> ids;
    std::vector<ds4_job_token> tokens;
    ds4_job_state state;
};

// Polls to the terminal status, then frees.
Result wait(Scheduler &scheduler, uint64_t job, bool frees = true) {
    Result result{};
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    do {
        ds4_job_token tokens[7];
        scheduler.poll(job, tokens, 7, result.state);
        for (uint32_t i = 0; i < result.state.token_count; i++) {
            result.ids.push_back(tokens[i].id);
            result.tokens.push_back(tokens[i]);
        }
        if (result.state.token_count == 0)
            std::this_thread::sleep_for(std::chrono::microseconds(100));
        if (std::chrono::steady_clock::now() > deadline)
            ds4::fail(DS4_ERR_INTERNAL, "the job does not end");
    } while (result.state.status == DS4_JOB_RUNNING || result.state.pending_tokens > 0);
    if (frees) scheduler.free(job);
    return result;
}

ds4_status status_of(const auto &action) {
    try {
        action();
    } catch (const Error &error) {
        return error.status();
    }
    return DS4_OK;
}

std::vector<int32_t> range(int32_t begin, int32_t end) {
    std::vector<int32_t> ids;
    for (int32_t id = begin; id < end; id++) ids.push_back(id);
    return ids;
}

} // namespace

TEST("a job at its token limit has reported every token in order and fed all of them to the "
     "session") {
    FakeExecutor executor;
    Scheduler scheduler(executor);
    FakeSession session;
    const Result result = wait(scheduler, scheduler.start(request(session, {1, 2, 3}, 5)));
    CHECK(result.ids == range(4, 9));
    CHECK(result.state.status == DS4_JOB_DONE && result.state.finish == DS4_FINISH_LENGTH);
    CHECK(result.state.generated == 5 && result.state.prompt_processed == 3);
    CHECK(session.tokens == range(1, 9));
}

TEST("a stop token ends the job, is named, is not reported and does not enter the session") {
    FakeExecutor executor;
    Scheduler scheduler(executor);
    FakeSession session;
    GenerationRequest made = request(session, {1}, 50);
    made.stop_tokens = {7, 5};
    const Result result = wait(scheduler, scheduler.start(std::move(made)));
    CHECK(result.ids == range(2, 5));
    CHECK(result.state.finish == DS4_FINISH_STOP && result.state.stop_token == 5);
    CHECK(session.tokens == range(1, 5));
    // The prompt and three tokens. The step that ran ahead with the stop token was dropped.
    CHECK(executor.steps().size() == 4 || executor.steps().size() == 5);
}

TEST("a stop string is found across tokens, and its last token is in the session") {
    FakeExecutor executor;
    Scheduler scheduler(executor);
    set_letters(scheduler);
    FakeSession session;
    GenerationRequest made = request(session, {1}, 50);
    made.stop_strings = {"zz", "456"};
    const Result result = wait(scheduler, scheduler.start(std::move(made)));
    CHECK(result.ids == range(2, 7));
    CHECK(result.state.finish == DS4_FINISH_STOP_STRING && result.state.stop_string == 1);
    CHECK(session.tokens == range(1, 7));
}

TEST("generation stops where the context is full, and a prompt that fills it generates nothing") {
    FakeExecutor executor;
    Scheduler scheduler(executor);
    FakeSession session;
    session.limit = 6;
    Result result = wait(scheduler, scheduler.start(request(session, {1, 2, 3}, 50)));
    CHECK(result.ids == range(4, 7));
    CHECK(result.state.finish == DS4_FINISH_CONTEXT);
    CHECK(session.tokens == range(1, 7));

    session.tokens = {1, 2};
    result = wait(scheduler, scheduler.start(request(session, {3, 4, 5, 6}, 50)));
    CHECK(result.ids.empty() && result.state.finish == DS4_FINISH_CONTEXT);
    session.tokens = {1, 2};
    CHECK(status_of([&] { scheduler.start(request(session, {3, 4, 5, 6, 7}, 50)); }) ==
          DS4_ERR_CONTEXT_FULL);
}

TEST("max_tokens 0 only processes the prompt, in chunks of the step budget, without logits") {
    FakeExecutor executor;
    executor.budget = 100;
    Scheduler scheduler(executor);
    FakeSession session;
    const Result result =
        wait(scheduler, scheduler.start(request(session, std::vector<int32_t>(250, 1), 0)));
    CHECK(result.ids.empty() && result.state.finish == DS4_FINISH_LENGTH &&
          session.tokens.size() == 250);
    CHECK(executor.steps(Lane::prefill) == (std::vector<std::vector<uint32_t>>{{100}, {100}}));
    CHECK(executor.steps() == (std::vector<std::vector<uint32_t>>{{50}}));
}

TEST("the reasoning budget forces the closing token, and stop strings count only after it") {
    FakeExecutor executor;
    Scheduler scheduler(executor);
    set_letters(scheduler);
    FakeSession session;
    GenerationRequest made = request(session, {1}, 50);
    made.options.think_close_token = 40;
    made.options.reasoning_budget = 3;
    made.stop_strings = {"3", std::string(1, char('0' + 43))};
    const Result result = wait(scheduler, scheduler.start(std::move(made)));
    CHECK(result.ids == (std::vector<int32_t>{2, 3, 4, 40, 41, 42, 43}));
    CHECK(result.state.finish == DS4_FINISH_STOP_STRING && result.state.stop_string == 1);
}

TEST("logprobs come with the tokens when asked for") {
    FakeExecutor executor;
    Scheduler scheduler(executor);
    FakeSession session;
    GenerationRequest made = request(session, {1}, 2);
    made.options.logprobs = 1;
    made.options.top_logprobs = 2;
    const Result result = wait(scheduler, scheduler.start(std::move(made)));
    const double log_sum = std::log(std::exp(4.0) + 63.0);
    CHECK(result.tokens.size() == 2 && result.tokens[0].top_count == 2);
    CHECK_CLOSE(result.tokens[0].logprob, 4.0 - log_sum, 1e-7);
    CHECK(result.tokens[0].top_ids[0] == 2 && result.tokens[0].top_ids[1] == 0);
}

TEST("the end of a tool block ends the job, and its syntax is decoded greedily") {
    FakeExecutor executor;
    Scheduler scheduler(executor);
    std::vector<std::string> texts(FakeExecutor::kVocab, "x");
    texts[3] = "<tool_calls>";
    texts[4] = "\n<invoke name=\"a\">\n</invoke>\n";
    texts[5] = "</tool_";
    texts[6] = "calls>";
    set_texts(scheduler, texts);
    // hot enough that the chance of following the fake model by luck is nil; only the first token
    // may be sampled
    int opened = 0;
    for (uint64_t seed = 1; seed < 300; seed++) {
        FakeSession session;
        GenerationRequest made = request(session, {2}, 30);
        made.options.tool_zones = 1;
        made.options.sampling.temperature = 5.0f;
        made.options.sampling.seed = seed;
        const Result result = wait(scheduler, scheduler.start(std::move(made)));
        if (result.ids[0] != 3) continue;
        opened++;
        CHECK(result.ids == range(3, 7));
        CHECK(result.state.finish == DS4_FINISH_STOP && result.state.stop_token == -1);
        CHECK(session.tokens == range(2, 7));
    }
    CHECK(opened > 2);
}

TEST("thinking that ends in plain text is over, and nothing is forced any more") {
    FakeExecutor executor;
    Scheduler scheduler(executor);
    std::vector<std::string> texts(FakeExecutor::kVocab, "x");
    texts[5] = "a</thi";
    texts[6] = "nk>b";
    texts[9] = "STOP";
    texts[40] = "</think>";
    set_texts(scheduler, texts);
    FakeSession session;
    GenerationRequest made = request(session, {2}, 30);
    made.options.think_close_token = 40;
    made.options.reasoning_budget = 6;
    made.stop_strings = {"STOP"};
    const Result result = wait(scheduler, scheduler.start(std::move(made)));
    CHECK(result.ids == range(3, 10));
    CHECK(result.state.finish == DS4_FINISH_STOP_STRING);
}

TEST("bad requests are refused with a status and start nothing") {
    FakeExecutor executor;
    Scheduler scheduler(executor);
    FakeSession session;
    const auto refused = [&](const auto &change) {
        GenerationRequest made = request(session, {1}, 5);
        change(made);
        return status_of([&] { scheduler.start(std::move(made)); }) == DS4_ERR_ARGUMENT;
    };
    CHECK(refused([](GenerationRequest &r) { r.prompt = {}; }));
    CHECK(refused([](GenerationRequest &r) { r.prompt = {1, 64}; }));
    CHECK(refused([](GenerationRequest &r) { r.prompt = {-1}; }));
    CHECK(refused([](GenerationRequest &r) { r.stop_tokens = {99}; }));
    CHECK(refused([](GenerationRequest &r) { r.stop_strings = {""}; }));
    CHECK(refused([](GenerationRequest &r) { r.stop_strings = {"no vocabulary yet"}; }));
    CHECK(refused([](GenerationRequest &r) {
        r.options.top_logprobs = 21;
        r.options.logprobs = 1;
    }));
    CHECK(refused([](GenerationRequest &r) { r.options.top_logprobs = 2; }));
    CHECK(refused([](GenerationRequest &r) { r.options.reasoning_budget = 2; }));
    CHECK(refused([](GenerationRequest &r) { r.session = nullptr; }));
    CHECK(status_of([&] { scheduler.free(1); }) == DS4_ERR_ARGUMENT);
    CHECK(wait(scheduler, scheduler.start(request(session, {1}, 1))).ids == range(2, 3));
}

TEST("a session belongs to its job until the job is freed, and a running job is not freed") {
    FakeExecutor executor;
    executor.gate(false);
    Scheduler scheduler(executor);
    FakeSession session;
    const uint64_t job = scheduler.start(request(session, {1}, 3));
    CHECK(status_of([&] { scheduler.free(job); }) == DS4_ERR_ARGUMENT);
    CHECK(status_of([&] { scheduler.start(request(session, {1}, 3)); }) == DS4_ERR_ARGUMENT);
    executor.gate(true);
    wait(scheduler, job, false);
    CHECK(status_of([&] { scheduler.start(request(session, {1}, 3)); }) == DS4_ERR_ARGUMENT);
    scheduler.free(job);
    CHECK(status_of([&] { wait(scheduler, scheduler.start(request(session, {1}, 3))); }) == DS4_OK);
}

TEST("a failing session fails its own job with a text; jobs in the same step go on") {
    FakeExecutor executor;
    executor.gate(false);
    Scheduler scheduler(executor);
    FakeSession first, bad, good;
    bad.fails = true;
    const uint64_t opening = scheduler.start(request(first, {1}, 1));
    executor.wait_until_in_step();
    const uint64_t failing = scheduler.start(request(bad, {1}, 4));
    const uint64_t working = scheduler.start(request(good, {1}, 4));
    executor.gate(true);
    const Result failed = wait(scheduler, failing, false);
    CHECK(failed.state.status == DS4_JOB_FAILED && failed.state.error == DS4_ERR_DEVICE);
    CHECK(scheduler.error(failing) == "the fake device is broken");
    scheduler.free(failing);
    CHECK(wait(scheduler, working).ids == range(2, 6));
    CHECK(good.tokens == range(1, 6));
    wait(scheduler, opening);
}
