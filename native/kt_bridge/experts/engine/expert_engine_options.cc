#include "experts/engine/expert_engine_options.h"

#include <climits>

#include "experts/forward/forward_plan.h"
#include "experts/loading/json_reader.h"
#include "pool/expert_error.h"

namespace ds4::ktb {
namespace {

int bounded(JsonReader &json, const char *key, int64_t low, int64_t high) {
    const int64_t value = json.integer();
    if (value < low || value > high)
        fail(KTB_ERR_ARGUMENT, "options: \"%s\" is %lld; expected %lld..%lld", key,
             (long long)value, (long long)low, (long long)high);
    return int(value);
}

std::vector<int> integers(JsonReader &json, const char *key) {
    std::vector<int> out;
    json.enter_array();
    while (json.next_item()) out.push_back(bounded(json, key, 0, 65535));
    return out;
}

[[noreturn]] void unknown(const std::string &key, const std::string &value, const char *expected) {
    fail(KTB_ERR_ARGUMENT, "options: \"%s\" is \"%s\"; expected %s", key.c_str(), value.c_str(),
         expected);
}

void set_isa(ExpertEngineOptions &options, const std::string &name) {
    options.isa = machine::best_isa();
    options.isa_selection = name == "fastest" ? IsaSelection::fastest : IsaSelection::automatic;
    if (name == "auto" || name == "fastest") return;
    options.isa_selection = IsaSelection::named;
    for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512, Isa::amx})
        if (name == isa_name(isa)) return void(options.isa = isa);
    unknown("isa", name, "auto, fastest, generic, avx2, avx512 or amx");
}

Numerics numerics_named(const std::string &name) {
    for (Numerics numerics : {Numerics::int8, Numerics::bf16, Numerics::fp8ref, Numerics::f32})
        if (name == numerics_name(numerics)) return numerics;
    unknown("numerics", name, "int8, bf16, fp8ref or f32");
}

HugePages huge_named(const std::string &name) {
    if (name == "auto") return HugePages::automatic;
    if (name == "2m") return HugePages::two_mib;
    if (name == "1g") return HugePages::one_gib;
    if (name == "off") return HugePages::off;
    unknown("huge", name, "auto, 2m, 1g or off");
}

// Sets an option that is a number; false when `key` is none.
bool set_number(ExpertEngineOptions &options, const std::string &key, JsonReader &json) {
    const struct {
        const char *key;
        int64_t low, high;
        int &value;
    } numbers[] = {
        {"external", 1, INT_MAX, options.pool.external},
        {"parts", 1, 64, options.pool.parts},
        {"threads", 1, INT_MAX, options.pool.threads},
        {"fused_tokens", 0, kFusedTokens, options.fused_tokens},
        {"max_tokens", 1, 65536, options.max_tokens},
        {"tile_tokens", 0, 65536, options.tile_tokens},
    };
    for (const auto &number : numbers)
        if (key == number.key) {
            number.value = bounded(json, number.key, number.low, number.high);
            return true;
        }
    return false;
}

void set_option(ExpertEngineOptions &options, const std::string &key, JsonReader &json) {
    if (set_number(options, key, json)) return;
    if (key == "spin_us")
        options.pool.spin_us = bounded(json, "spin_us", 0, 60000000);
    else if (key == "nodes")
        options.pool.nodes = integers(json, "nodes");
    else if (key == "cores") {
        json.enter_array();
        while (json.next_item()) options.pool.cores.push_back(integers(json, "cores"));
    } else if (key == "numerics")
        options.numerics = numerics_named(json.string());
    else if (key == "isa")
        set_isa(options, json.string());
    else if (key == "calibrate")
        options.calibrate = json.boolean();
    else if (key == "huge")
        options.huge = huge_named(json.string());
    else
        fail(KTB_ERR_ARGUMENT,
             "options: unknown key \"%s\"; expected threads, external, parts, nodes, cores, "
             "numerics, isa, calibrate, huge, max_tokens, fused_tokens, tile_tokens or spin_us",
             key.c_str());
}

} // namespace

ExpertEngineOptions ExpertEngineOptions::from_json(const char *text) {
    ExpertEngineOptions options;
    JsonReader json(text, "options");
    json.enter_object();
    std::string key;
    while (json.next_key(key)) set_option(options, key, json);
    json.end();
    return options;
}

} // namespace ds4::ktb
