// How often a decoding step hands work to all threads. On many cores this is a good part of its
// time, so the number must not grow unnoticed.
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "api/small_model_for_tests.h"
#include "base/test.h"
#include "ds4.h"

using namespace ds4::test;

namespace {

double regions(ds4_engine *engine) {
    std::string text(ds4_engine_describe(engine, nullptr, 0) + 64, '\0');
    ds4_engine_describe(engine, text.data(), text.size());
    const char *name = "\"parallel_regions\":";
    const size_t at = text.find(name);
    CHECK(at != text.npos);
    return at == text.npos ? -1.0 : std::atof(text.c_str() + at + std::strlen(name));
}

// Regions of one step of a token for each session, at the same context.
double regions_of_step(uint32_t experts, uint32_t context, uint32_t count) {
    SmallModelOptions small;
    small.width = 512;
    // Plain types have nothing to check at their first use, which would take regions too.
    small.type = experts == DS4_EXPERTS_PACKED ? DS4_TYPE_Q8_0 : DS4_TYPE_F32;
    const SmallModel parts(small);
    ds4_model *model = parts.open();
    ds4_engine_options options{};
    options.struct_bytes = sizeof options, options.threads = 2, options.experts = experts;
    ds4_engine *engine = nullptr;
    expect_ok(ds4_engine_open(model, &options, &engine));
    std::vector<ds4_session *> sessions(count, nullptr);
    std::vector<ds4_step_item> items;
    std::vector<float> logits(parts.shape.vocab);
    const auto step = [&](const std::vector<ds4_step_item> &of) {
        std::vector<int32_t> tokens;
        for (const ds4_step_item &item : of)
            for (uint32_t i = 0; i < item.token_count; i++) tokens.push_back(int32_t(i * 7 % 48));
        expect_ok(ds4_engine_step(engine, of.data(), uint32_t(of.size()), tokens.data(),
                                  tokens.size(), logits.data(), logits.size()));
    };
    for (ds4_session *&session : sessions) {
        const ds4_session_options room{sizeof room, 256, nullptr};
        expect_ok(ds4_session_open(engine, &room, &session));
        step({{session, context, DS4_LOGITS_NONE}});
        items.push_back({session, 1, items.empty() ? DS4_LOGITS_LAST : DS4_LOGITS_NONE});
    }
    const double before = regions(engine);
    step(items);
    const double after = regions(engine);
    for (ds4_session *session : sessions) ds4_session_close(session);
    ds4_engine_close(engine);
    ds4_model_close(model);
    return after - before;
}

} // namespace

TEST("a decoding step of a token or of several sessions has so many parallel regions, no more") {
    // Three layers of this width, whose smallest products need no threads, and the head.
    CHECK(regions_of_step(DS4_EXPERTS_PACKED, 8, 1) <= 18);
    CHECK(regions_of_step(DS4_EXPERTS_PACKED, 41, 1) <= 19); // layer 1 selects
    CHECK(regions_of_step(DS4_EXPERTS_MAPPED, 8, 1) <= 28);
    CHECK(regions_of_step(DS4_EXPERTS_PACKED, 8, 4) <= 28);
}
