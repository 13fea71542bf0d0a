// The progress of ds4_engine_open and its cancellation through ds4_load_progress.
#include <atomic>
#include <string>
#include <thread>

#include "api/small_model_for_tests.h"
#include "base/contains_for_tests.h"
#include "base/test.h"
#include "ds4.h"

using namespace ds4::test;

namespace {

const SmallModelOptions kPackable{.type = DS4_TYPE_Q8_0, .width = 256};

ds4_engine_options options_for(uint32_t experts, ds4_load_progress *progress) {
    ds4_engine_options options{};
    options.struct_bytes = sizeof options, options.threads = 2, options.max_step_tokens = 64;
    options.session_tokens = 64, options.experts = experts, options.progress = progress;
    return options;
}

std::string described(ds4_engine *engine) {
    std::string text(ds4_engine_describe(engine, nullptr, 0), '\0');
    ds4_engine_describe(engine, text.data(), text.size());
    text.resize(text.size() - 1);
    return text;
}

std::string planned(ds4_model *model, const ds4_engine_options &options) {
    uint64_t bytes = 0;
    expect_ok(ds4_engine_plan(model, &options, nullptr, 0, &bytes));
    std::string text(bytes, '\0');
    expect_ok(ds4_engine_plan(model, &options, text.data(), text.size(), &bytes));
    text.resize(bytes - 1);
    return text;
}

// The object of a member that begins with the text.
std::string member(const std::string &json, const std::string &name) {
    const size_t begin = json.find("\"" + name + "\":{");
    return begin == std::string::npos ? "" : json.substr(begin, json.find('}', begin) - begin);
}

uint64_t bytes_in(const std::string &object, const std::string &name = "bytes") {
    const size_t at = object.find("\"" + name + "\":");
    return at == std::string::npos ? 0 : std::stoull(object.substr(at + name.size() + 3));
}

} // namespace

TEST("progress of loading counts routed experts and dense matrices, whichever are packed") {
    const SmallModel parts(kPackable);
    ds4_model *model = parts.open();
    for (const uint32_t experts : {DS4_EXPERTS_PACKED, DS4_EXPERTS_MAPPED})
        for (const bool mapped_dense : {false, true}) {
            ds4_load_progress progress{99, 99, 0, 0};
            ds4_engine_options options = options_for(experts, &progress);
            if (mapped_dense) options.switches = DS4_SWITCH_MAPPED_DENSE;
            const std::string plan = planned(model, options);
            CHECK(progress.done_bytes == 99); // a plan loads nothing
            ds4_engine *engine = nullptr;
            expect_ok(ds4_engine_open(model, &options, &engine));
            const std::string text = described(engine), dense = member(text, "dense");
            const uint64_t packed = bytes_in(member(text, "memory"), "packed_weight_bytes");
            CHECK(progress.done_bytes == packed && progress.total_bytes == packed);
            CHECK((packed > 0) == (experts == DS4_EXPERTS_PACKED || bytes_in(dense) > 0));
            // The plan told the same.
            CHECK(bytes_in(member(plan, "dense")) == bytes_in(dense));
            CHECK(contains(member(plan, "dense"), "packed") == contains(dense, "packed"));
            CHECK(member(plan, "memory") == member(text, "memory"));
            if (mapped_dense) CHECK(contains(member(plan, "dense"), "asked for"));
            ds4_engine_close(engine);
        }
    ds4_model_close(model);
}

TEST("a load that is cancelled ends at once, in the experts and in the dense matrices") {
    const SmallModel parts(kPackable);
    ds4_model *model = parts.open();
    for (const uint32_t experts : {DS4_EXPERTS_PACKED, DS4_EXPERTS_MAPPED}) {
        ds4_load_progress progress{0, 0, 1, 0};
        const ds4_engine_options options = options_for(experts, &progress);
        const bool packs = contains(member(planned(model, options), "dense"), "packed");
        ds4_engine *engine = nullptr;
        const ds4_status status = ds4_engine_open(model, &options, &engine);
        CHECK(status == (packs || experts == DS4_EXPERTS_PACKED ? DS4_ERR_CANCELLED : DS4_OK));
        CHECK(progress.done_bytes == 0);
        ds4_engine_close(engine);
    }
    ds4_model_close(model);
}
