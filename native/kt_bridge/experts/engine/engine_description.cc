// The JSON that ktb_engine_describe gives.
#include <algorithm>
#include <map>
#include <set>

#include "base/json.h"
#include "experts/engine/expert_engine.h"
#include "experts/engine/tuning_cache.h"

namespace ds4::ktb {
namespace {

using MethodCounts = std::map<std::pair<Method, Method>, int>; // layers by (gate and up, down)

std::string member(const char *name, const std::string &json) {
    return json_quoted(name) + ":" + json;
}
std::string number(const char *name, int64_t value) { return member(name, std::to_string(value)); }
std::string text(const char *name, const std::string &value) {
    return member(name, json_quoted(value));
}
std::string flag(const char *name, bool value) { return member(name, value ? "true" : "false"); }

std::string joined(const std::vector<std::string> &items) {
    std::string out;
    for (const std::string &item : items) out += (out.empty() ? "" : ",") + item;
    return out;
}
std::string object(const std::vector<std::string> &members) { return "{" + joined(members) + "}"; }
std::string list(const std::vector<std::string> &items) { return "[" + joined(items) + "]"; }

std::string methods_json(const MethodCounts &methods, const ExpertEngineOptions &options) {
    std::vector<std::string> entries;
    for (const auto &[pair, layers] : methods) {
        const Kernels *kernels =
            kernels_for(pair.first, pair.second, options.isa, options.numerics);
        const char *numerics = options.numerics == Numerics::fp8ref
                                   ? numerics_name(Numerics::fp8ref)
                                   : kernels->numerics;
        entries.push_back(
            object({text("gate_up", method_traits(pair.first).name),
                    text("down", method_traits(pair.second).name), text("isa", kernels->isa),
                    text("numerics", numerics), number("layers", layers)}));
    }
    return list(entries);
}

std::string tuning_json(const Tuning &tuning, const ExpertLayer &layer) {
    return object({text("gate_up", method_traits(layer.methods.gate_up).name),
                   text("down", method_traits(layer.methods.down).name),
                   number("hidden", layer.shape.hidden),
                   number("intermediate", layer.shape.intermediate), described(tuning)});
}

} // namespace

// Facts about the layers, read under the lock of their list. Another thread may destroy a layer
// afterwards.
struct ExpertEngine::LayerFacts {
    size_t layers = 0;
    MethodCounts methods;
    std::vector<std::string> slots;        // entries of layers with fewer slots than experts
    std::vector<std::string> calibrations; // one entry for each tuning
    std::vector<uint64_t> part_bytes;      // of weights, by part
    std::vector<std::pair<const uint8_t *, size_t>> ranges; // of weights

    void add(ExpertLayer &layer) {
        methods[{layer.methods.gate_up, layer.methods.down}]++;
        if (const Tuning *tuning = layer.tuning.load(std::memory_order_acquire);
            tuning != nullptr && tunings_.insert(tuning).second)
            calibrations.push_back(tuning_json(*tuning, layer));
        const std::lock_guard<std::mutex> lock(layer.weights_lock);
        if (layer.kept.size() < size_t(layer.shape.experts))
            slots.push_back(
                object({number("layer", layer.index), number("slots", int64_t(layer.kept.size())),
                        number("experts", layer.shape.experts)}));
        if (layer.state.load(std::memory_order_acquire) != int(ExpertLayerState::ready)) return;
        if (!weights_.insert(layer.weights.shared().get()).second) return; // shared, and counted
        for (size_t part = 0; part < part_bytes.size(); part++) {
            const Mapping &arena = layer.weights->arenas()[part];
            ranges.emplace_back(arena.data(), arena.bytes());
            part_bytes[part] += arena.bytes();
        }
    }

  private:
    std::set<const Tuning *> tunings_;
    std::set<const PackedWeights *> weights_;
};

ExpertEngine::LayerFacts ExpertEngine::layer_facts() const {
    LayerFacts facts;
    facts.part_bytes.resize(size_t(pool().parts()));
    const std::lock_guard<std::mutex> lock(lock_);
    facts.layers = layers_.size();
    for (ExpertLayer *layer : layers_) facts.add(*layer);
    return facts;
}

std::string ExpertEngine::parts_json(const LayerFacts &facts) const {
    std::vector<std::string> parts;
    for (int part = 0; part < pool().parts(); part++) {
        std::vector<std::string> cores;
        for (const Worker &worker : pool().list())
            if (worker.part == part) cores.push_back(std::to_string(worker.cpu));
        parts.push_back(
            object({number("node", pool().part_node(part)), member("cores", list(cores)),
                    number("weight_bytes", int64_t(facts.part_bytes[size_t(part)]))}));
    }
    return list(parts);
}

std::string ExpertEngine::describe() const {
    const LayerFacts facts = layer_facts();
    const PageUse use = page_use(facts.ranges.data(), facts.ranges.size());
    const Kernels *kernels =
        kernels_for(Method::mxfp4, Method::mxfp4, options_.isa, options_.numerics);
    std::vector<std::string> members = {
        text("isa", isa_name(options_.isa)),
        text("numerics", numerics_name(options_.numerics)),
        text("kernels", kernels->isa),
        number("workers", pool().workers()),
        flag("oversubscribed", pool().oversubscribed()),
        flag("external", pool().external()),
        number("spin_us", pool().spin_us()),
        number("max_tokens", options_.max_tokens),
        number("tile_tokens", options_.isa == Isa::amx ? options_.tile_tokens : 0),
        number("layers", int64_t(facts.layers)),
        member("methods", methods_json(facts.methods, options_)),
    };
    if (!facts.slots.empty()) members.push_back(member("slots", list(facts.slots)));
    members.push_back(member("calibration", list(facts.calibrations)));
    members.push_back(member("parts", parts_json(facts)));
    members.push_back(number("workspace_bytes", int64_t(workspace_.bytes())));
    members.push_back(number("resident_bytes", int64_t(use.resident_bytes)));
    members.push_back(number("huge_page_bytes", int64_t(use.huge_bytes)));
    members.push_back(member("last_forward_us", object({number("prepare", times_.prepare.load()),
                                                        number("experts", times_.experts.load()),
                                                        number("reduce", times_.reduce.load())})));
    return object(members);
}

} // namespace ds4::ktb
