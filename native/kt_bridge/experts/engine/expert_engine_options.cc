#include <algorithm>
#include <climits>
#include <map>
#include <set>

#include "experts/engine/expert_engine.h"
#include "experts/loading/json_reader.h"
#include "experts/engine/tuning_cache.h"
#include "pool/expert_error.h"
#include "machine/instruction_sets.h"

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

std::string quoted(const std::string &text) { return "\"" + text + "\""; }

std::string described(const std::map<std::pair<Method, Method>, int> &methods,
                      const ExpertEngineOptions &options) {
    std::string out;
    for (const auto &[pair, layers] : methods) {
        const Kernels *kernels =
            kernels_for(pair.first, pair.second, options.isa, options.numerics);
        if (!out.empty()) out += ",";
        out += "{\"gate_up\":" + quoted(method_traits(pair.first).name) +
               ",\"down\":" + quoted(method_traits(pair.second).name) +
               ",\"isa\":" + quoted(kernels->isa);
        const char *numerics = options.numerics == Numerics::fp8ref
                                   ? numerics_name(Numerics::fp8ref)
                                   : kernels->numerics;
        out += ",\"numerics\":" + quoted(numerics) + ",\"layers\":" + std::to_string(layers) + "}";
    }
    return out;
}

std::string described(const std::vector<std::pair<const Tuning *, const ExpertLayer *>> &tunings) {
    std::string out;
    for (const auto &[tuning, layer] : tunings) {
        out += (out.empty() ? "{\"gate_up\":" : ",{\"gate_up\":") +
               quoted(method_traits(layer->methods.gate_up).name) +
               ",\"down\":" + quoted(method_traits(layer->methods.down).name);
        out += ",\"hidden\":" + std::to_string(layer->shape.hidden) +
               ",\"intermediate\":" + std::to_string(layer->shape.intermediate) + "," +
               described(*tuning) + "}";
    }
    return out;
}

} // namespace

ExpertEngineOptions ExpertEngineOptions::from_json(const char *text) {
    ExpertEngineOptions options;
    JsonReader json(text, "options");
    json.enter_object();
    std::string key;
    while (json.next_key(key)) {
        if (key == "external")
            options.pool.external = bounded(json, "external", 1, INT_MAX);
        else if (key == "parts")
            options.pool.parts = bounded(json, "parts", 1, 64);
        else if (key == "threads")
            options.pool.threads = bounded(json, "threads", 1, INT_MAX);
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
        else if (key == "fused_tokens")
            options.fused_tokens = bounded(json, "fused_tokens", 0, kFusedTokens);
        else if (key == "huge")
            options.huge = huge_named(json.string());
        else if (key == "max_tokens")
            options.max_tokens = bounded(json, "max_tokens", 1, 65536);
        else if (key == "tile_tokens")
            options.tile_tokens = bounded(json, "tile_tokens", 0, 65536);
        else if (key == "spin_us")
            options.pool.spin_us = bounded(json, "spin_us", 0, 60000000);
        else
            fail(KTB_ERR_ARGUMENT,
                 "options: unknown key \"%s\"; expected threads, external, parts, nodes, cores, "
                 "numerics, isa, calibrate, huge, max_tokens, fused_tokens, tile_tokens or spin_us",
                 key.c_str());
    }
    json.end();
    return options;
}

std::string ExpertEngine::describe() const {
    std::vector<std::pair<const uint8_t *, size_t>> ranges;
    std::vector<uint64_t> part_bytes(size_t(pool_->parts()), 0);
    size_t layers = 0;
    std::map<std::pair<Method, Method>, int> methods; // layers by what gate and up, and down, are
    std::vector<std::pair<const Tuning *, const ExpertLayer *>> tunings; // with one layer of each
    std::set<const PackedWeights *> seen;
    std::string slots; // of layers that have fewer than experts
    std::string calibration;
    {
        const std::lock_guard<std::mutex> lock(lock_);
        layers = layers_.size();
        for (ExpertLayer *layer : layers_) {
            methods[{layer->methods.gate_up, layer->methods.down}]++;
            if (const Tuning *tuning = layer->tuning.load(std::memory_order_acquire);
                tuning != nullptr)
                if (std::none_of(tunings.begin(), tunings.end(),
                                 [&](const auto &known) { return known.first == tuning; }))
                    tunings.emplace_back(tuning, layer);
            const std::lock_guard<std::mutex> weights(layer->weights_lock);
            if (const size_t experts = size_t(layer->shape.experts); layer->kept.size() < experts)
                slots += (slots.empty() ? "{\"layer\":" : ",{\"layer\":") +
                         std::to_string(layer->index) +
                         ",\"slots\":" + std::to_string(layer->kept.size()) +
                         ",\"experts\":" + std::to_string(experts) + "}";
            if (layer->state.load(std::memory_order_acquire) != int(ExpertLayerState::ready))
                continue;
            if (!seen.insert(layer->weights.shared().get()).second)
                continue; // shared with a layer before it
            for (size_t part = 0; part < part_bytes.size(); part++) {
                const Mapping &arena = layer->weights->arenas()[part];
                ranges.emplace_back(arena.data(), arena.bytes());
                part_bytes[part] += arena.bytes();
            }
        }
        calibration = described(tunings); // afterwards another thread may destroy a layer
    }
    const PageUse use = page_use(ranges.data(), ranges.size());
    std::string out = "{\"isa\":" + quoted(isa_name(options_.isa)) +
                      ",\"numerics\":" + quoted(numerics_name(options_.numerics));
    out += ",\"kernels\":" +
           quoted(kernels_for(Method::mxfp4, Method::mxfp4, options_.isa, options_.numerics)->isa);
    out += ",\"workers\":" + std::to_string(pool_->workers()) +
           ",\"oversubscribed\":" + (pool_->oversubscribed() ? "true" : "false") +
           ",\"external\":" + (pool_->external() ? "true" : "false");
    out += ",\"spin_us\":" + std::to_string(pool_->spin_us()) +
           ",\"max_tokens\":" + std::to_string(options_.max_tokens);
    out +=
        ",\"tile_tokens\":" + std::to_string(options_.isa == Isa::amx ? options_.tile_tokens : 0);
    out += ",\"layers\":" + std::to_string(layers) + ",\"methods\":[" +
           described(methods, options_) + "]" +
           (slots.empty() ? "" : ",\"slots\":[" + slots + "]") + ",\"calibration\":[" +
           calibration + "],\"parts\":[";
    for (int part = 0; part < pool_->parts(); part++) {
        out += (part == 0 ? "" : ",") + std::string("{\"node\":") +
               std::to_string(pool_->part_node(part)) + ",\"cores\":[";
        bool first = true;
        for (const Worker &worker : pool_->list())
            if (worker.part == part)
                out += (first ? "" : ",") + std::to_string(worker.cpu), first = false;
        out += "],\"weight_bytes\":" + std::to_string(part_bytes[size_t(part)]) + "}";
    }
    out += "],\"resident_bytes\":" + std::to_string(use.resident_bytes) +
           ",\"huge_page_bytes\":" + std::to_string(use.huge_bytes);
    out += ",\"last_forward_us\":{\"prepare\":" + std::to_string(times_.prepare.load()) +
           ",\"experts\":" + std::to_string(times_.experts.load());
    return out + ",\"reduce\":" + std::to_string(times_.reduce.load()) + "}}";
}

} // namespace ds4::ktb
