// The memory that ds4_engine_plan and ds4_engine_describe tell, against the memory that is taken.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <thread>

#include "api/small_model_for_tests.h"
#include "backend/cpu/blocks/attend_heads.h"
#include "base/test.h"
#include "ds4.h"
#include "machine/instruction_sets.h"

using namespace ds4;
using namespace ds4::test;

namespace {

// The number of a JSON member; after: text behind which the member is searched.
double number(const std::string &json, const char *after, const char *name) {
    const size_t from = json.find(after);
    const size_t at = json.find("\"" + std::string(name) + "\":", from == json.npos ? 0 : from);
    CHECK(from != json.npos && at != json.npos);
    return at == json.npos ? -1.0 : std::strtod(json.c_str() + at + std::strlen(name) + 3, nullptr);
}

ds4_engine_options options_for(uint32_t numerics, uint32_t step_tokens) {
    ds4_engine_options options{};
    options.struct_bytes = sizeof options, options.numerics = numerics;
    options.threads = 2, options.max_step_tokens = step_tokens;
    options.session_tokens = step_tokens, options.experts = DS4_EXPERTS_MAPPED;
    return options;
}

std::string describe(ds4_engine *engine) {
    std::string text(ds4_engine_describe(engine, nullptr, 0), '\0');
    ds4_engine_describe(engine, text.data(), text.size());
    return text;
}

std::string plan(ds4_model *model, const ds4_engine_options &options) {
    uint64_t bytes = 0;
    expect_ok(ds4_engine_plan(model, &options, nullptr, 0, &bytes));
    std::string text(bytes, '\0');
    expect_ok(ds4_engine_plan(model, &options, text.data(), text.size(), &bytes));
    return text;
}

// A prompt that the decode lane reads, and a token after it.
void answer(ds4_engine *engine, ds4_session *session, uint32_t prompt_tokens) {
    std::vector<int32_t> tokens(prompt_tokens, 3);
    ds4_job_options options{};
    options.struct_bytes = sizeof options, options.max_tokens = 2, options.think_close_token = -1;
    options.sampling.struct_bytes = sizeof options.sampling;
    options.sampling.temperature = 1.0f, options.sampling.seed = 7;
    uint64_t job = 0;
    expect_ok(ds4_job_start(engine, session, &options, tokens.data(), prompt_tokens, nullptr,
                            nullptr, 0, &job));
    ds4_job_state state{};
    do {
        state.struct_bytes = sizeof state;
        ds4_job_token token;
        expect_ok(ds4_job_poll(engine, job, &token, 1, &state));
        std::this_thread::yield();
    } while (state.status == DS4_JOB_RUNNING || state.pending_tokens > 0);
    CHECK(state.status != DS4_JOB_FAILED);
    expect_ok(ds4_job_free(engine, job));
}

void step(ds4_engine *engine, ds4_session *session, uint32_t count) {
    std::vector<int32_t> tokens(count);
    for (uint32_t i = 0; i < count; i++) tokens[i] = int32_t(i * 7 % 48);
    std::vector<float> logits(48);
    const ds4_step_item item{session, count, DS4_LOGITS_LAST};
    expect_ok(ds4_engine_step(engine, &item, 1, tokens.data(), count, logits.data(), 48));
}

// Steps of one token of as many sessions. In the last one their windows are full if there are so
// many tokens, and they see all entries that queries share, which are 3.
void steps_of_sessions(ds4_engine *engine, uint32_t count) {
    std::vector<ds4_session *> sessions(count, nullptr);
    std::vector<ds4_step_item> items;
    for (ds4_session *&session : sessions) {
        const ds4_session_options context{sizeof context, 100, nullptr};
        expect_ok(ds4_session_open(engine, &context, &session));
        items.push_back({session, 1, items.empty() ? DS4_LOGITS_LAST : DS4_LOGITS_NONE});
    }
    std::vector<float> logits(48);
    const std::vector<int32_t> tokens(count, 3);
    for (uint32_t i = 0; i < std::min(count, 13u); i++)
        expect_ok(
            ds4_engine_step(engine, items.data(), count, tokens.data(), count, logits.data(), 48));
    for (ds4_session *session : sessions) ds4_session_close(session);
}

// Bytes of rows that many sessions of one token load together, and that fewer do not need. These
// are windows of 8 rows and 3 shared entries, 128 floats each. On tile registers they are chunks,
// two for a window. Both lanes have at most 4 MiB of either.
double loaded_together(uint32_t step_tokens, uint32_t numerics) {
    const bool tiled = numerics != DS4_NUMERICS_PLAIN &&
                       cpu::tile_attention(machine::best_isa(), {128, 64, RowStorage::packed});
    const double window = double(cpu::key_bytes(tiled ? 39 : 8, 128, tiled)),
                 shared = double(cpu::key_bytes(3, 128, tiled));
    const auto bytes = [](double tokens, double each) {
        return std::min(tokens * each, double(4 << 20));
    };
    const double shortest = std::min(step_tokens, 64u);
    return bytes(step_tokens, window) + bytes(step_tokens, shared) + bytes(shortest, window) +
           bytes(shortest, shared);
}

} // namespace

TEST("the workspace that a plan counts is the one that a long step and an answer beside it take") {
    const SmallModel parts;
    ds4_model *model = parts.open();
    for (const uint32_t numerics : {DS4_NUMERICS_FAST, DS4_NUMERICS_TRAINED, DS4_NUMERICS_PLAIN})
        for (const uint32_t tokens : {17u, 64u, 2048u}) {
            if (kThreadSanitizer && tokens > 64) continue; // minutes of arithmetic
            const ds4_engine_options options = options_for(numerics, tokens);
            const double planned = number(plan(model, options), "\"memory\"", "workspace_bytes");
            ds4_engine *engine = nullptr;
            expect_ok(ds4_engine_open(model, &options, &engine));
            const ds4_session_options context{sizeof context, 4000, nullptr};
            ds4_session *session = nullptr, *beside = nullptr;
            expect_ok(ds4_session_open(engine, &context, &session));
            expect_ok(ds4_session_open(engine, &context, &beside));
            CHECK(number(describe(engine), "{", "workspace_bytes") == 0);
            step(engine, session, tokens);
            for (const uint32_t sessions : {17u, 16u}) // in the prefill lane, and in the other
                steps_of_sessions(engine, sessions);
            const std::string text = describe(engine);
            CHECK(number(text, "\"memory\"", "workspace_bytes") == planned);
            const double session_planned = number(text, "\"memory\"", "session_bytes"),
                         base = number(text, "\"memory\"", "session_base_bytes"),
                         held = double(ds4_session_bytes(session));
            CHECK(session_planned <= held && held <= session_planned + base);
            const double first = number(text, "{", "workspace_bytes");
            answer(engine, beside, std::min(tokens, 64u) - 1);
            const double taken = number(describe(engine), "{", "workspace_bytes");
            CHECK(first <= taken && taken <= planned);
            CHECK(planned <= taken * 1.025 + 50000 + loaded_together(tokens, numerics));
            ds4_session_close(session);
            ds4_session_close(beside);
            ds4_engine_close(engine);
        }
    ds4_model_close(model);
}

TEST("with packed experts a plan counts the workspace of their library too") {
    const SmallModel parts({.type = DS4_TYPE_Q8_0, .width = 256});
    ds4_model *model = parts.open();
    // Lanes that the engine gives cores of their own, each with a library's workspace; and in
    // turns.
    for (const uint32_t threads : {0u, 2u})
        for (const uint32_t tokens : {64u, 2048u}) {
            if (kThreadSanitizer && tokens > 64) continue;
            ds4_engine_options options = options_for(DS4_NUMERICS_FAST, tokens);
            options.threads = threads;
            options.experts = DS4_EXPERTS_PACKED;
            const double planned = number(plan(model, options), "\"memory\"", "workspace_bytes");
            ds4_engine *engine = nullptr;
            expect_ok(ds4_engine_open(model, &options, &engine));
            const ds4_session_options context{sizeof context, 4000, nullptr};
            ds4_session *session = nullptr, *beside = nullptr;
            expect_ok(ds4_session_open(engine, &context, &session));
            expect_ok(ds4_session_open(engine, &context, &beside));
            step(engine, session, tokens);
            answer(engine, beside, 63);
            const std::string text = describe(engine);
            const double taken = number(text, "{", "workspace_bytes"),
                         library = number(text, "\"library\"", "workspace_bytes");
            CHECK(library > 0 && library < taken);
            CHECK(taken <= planned);
            CHECK(planned <= taken * 1.03 + 500000 + loaded_together(tokens, DS4_NUMERICS_FAST));
            ds4_session_close(session);
            ds4_session_close(beside);
            ds4_engine_close(engine);
        }
    ds4_model_close(model);
}

TEST("a plan counts weights, a session by its pages, and the cache of a token") {
    const SmallModel parts;
    ds4_model *model = parts.open();
    ds4_engine_options options = options_for(DS4_NUMERICS_FAST, 8);
    double used = 0;
    for (const ds4_tensor &tensor : parts.tensors) used += double(tensor.bytes);
    const auto memory = [&](const char *name) {
        return number(plan(model, options), "\"memory\"", name);
    };
    CHECK(memory("mapped_weight_bytes") == used && memory("packed_weight_bytes") == 0);
    // An entry has 200 bytes. Layer 1 has one for 4 tokens with an index row of 34 bytes, layer 2
    // one for 128 tokens. A token's id has 4 bytes.
    const double exact = 200.0 / 4 + 200.0 / 128 + 34.0 / 4 + 4;
    CHECK(memory("kv_bytes_per_token") >= exact - 1 && memory("kv_bytes_per_token") <= exact + 1);
    options.session_tokens = 2048;
    const double one_page = memory("session_bytes");
    options.session_tokens = 2049;
    CHECK(memory("session_tokens") == 2049);
    CHECK_CLOSE(memory("session_bytes") - one_page, 2048 * exact, 2048);
    CHECK(one_page - memory("session_base_bytes") == memory("session_bytes") - one_page);
    options.session_tokens = 0; // a default, and no more than the model allows
    CHECK(memory("session_tokens") == 4096);
    ds4_model_close(model);
}
