// ds4_engine_plan against what ds4_engine_open then does.
#include <string>

#include "api/small_model_for_tests.h"
#include "base/contains_for_tests.h"
#include "base/test.h"
#include "ds4.h"

using namespace ds4::test;

namespace {

struct Plan {
    ds4_status status;
    std::string text; // the plan, or the error
};

Plan plan_of(ds4_model *model, const ds4_engine_options &options) {
    uint64_t bytes = 0;
    const ds4_status status = ds4_engine_plan(model, &options, nullptr, 0, &bytes);
    if (status != DS4_OK) return {status, ds4_last_error()};
    std::string text(bytes, '\0');
    expect_ok(ds4_engine_plan(model, &options, text.data(), text.size(), &bytes));
    text.resize(bytes - 1);
    return {status, text};
}

ds4_engine_options options_for(uint32_t experts) {
    ds4_engine_options options{};
    options.struct_bytes = sizeof options;
    options.experts = experts;
    options.isa = DS4_ISA_GENERIC;
    return options;
}

} // namespace

TEST("a plan says where an engine puts the experts and what it counted") {
    const SmallModel parts;
    ds4_model *model = parts.open();
    const Plan mapped = plan_of(model, options_for(DS4_EXPERTS_MAPPED));
    CHECK(mapped.status == DS4_OK &&
          contains(mapped.text, R"("place":"mapped","reason":"asked for")"));
    for (const char *member : {"experts_bytes", "rest_bytes", "sessions_bytes", "available_bytes"})
        CHECK(contains(mapped.text, member));

    // An F32 model cannot be packed, whoever asks.
    const Plan automatic = plan_of(model, options_for(DS4_EXPERTS_AUTO));
    CHECK(automatic.status == DS4_OK && contains(automatic.text, R"("place":"mapped","reason":)"));
    const ds4_engine_options packed = options_for(DS4_EXPERTS_PACKED);
    const Plan refused = plan_of(model, packed);
    ds4_engine *engine = nullptr;
    CHECK(refused.status != DS4_OK && ds4_engine_open(model, &packed, &engine) == refused.status);
    CHECK(refused.text == ds4_last_error());
    ds4_model_close(model);
}

TEST("a plan refuses null pointers and a model that is not sealed") {
    const SmallModel parts;
    ds4_model *model = parts.create();
    const ds4_engine_options options = options_for(DS4_EXPERTS_AUTO);
    CHECK(contains(plan_of(model, options).text, "not sealed"));
    CHECK(contains(plan_of(nullptr, options).text, "model is null"));
    CHECK(ds4_engine_plan(model, &options, nullptr, 0, nullptr) == DS4_ERR_ARGUMENT);
    ds4_model_close(model);
}
