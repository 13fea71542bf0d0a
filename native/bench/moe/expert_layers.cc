#include "moe/expert_layers.h"

#include <algorithm>
#include <stdexcept>

#include "moe/pool_runner.h"

namespace ds4::bench {
namespace {

[[noreturn]] void refused(const std::string &what) {
    throw std::runtime_error(what + ": " + ktb_last_error());
}

std::string engine_options(const Kind &kind, int threads, int parts) {
    std::string nodes;
    for (int part = 0; part < parts; part++) nodes += part == 0 ? "0" : ",0";
    std::string text = "{\"isa\":\"" + kind.isa + "\",\"numerics\":\"" + kind.numerics +
                       "\",\"threads\":" + std::to_string(threads);
    if (parts > 1) text += ",\"nodes\":[" + nodes + "]";
    if (spin_us(threads) >= 0) text += ",\"spin_us\":" + std::to_string(spin_us(threads));
    return text + "}";
}

double number_after(const std::string &text, const std::string &key) {
    const size_t at = text.find("\"" + key + "\":");
    return at == std::string::npos ? 0 : std::atof(text.c_str() + at + key.size() + 3);
}

} // namespace

uint64_t Random::next() { // splitmix64
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

float Random::normal() { // four 16-bit uniforms have variance 1/3
    const uint64_t bits = next();
    float sum = -2;
    for (int i = 0; i < 4; i++) sum += float(bits >> (16 * i) & 0xffff) / 65536.0f;
    return sum * 1.7320508f;
}

SourceExperts::SourceExperts(const Shape &shape) {
    Random random;
    const size_t values = size_t(shape.hidden) * size_t(shape.intermediate);
    for (int expert = 0; expert < kCount; expert++)
        for (int matrix = 0; matrix < 3; matrix++) {
            std::vector<uint8_t> &codes = codes_[expert][matrix];
            codes.resize(values / 2);
            for (size_t i = 0; i < codes.size(); i += 8) {
                const uint64_t bits = random.next();
                for (size_t byte = 0; byte < 8; byte++)
                    codes[i + byte] = uint8_t(bits >> (8 * byte));
            }
            for (size_t i = 0; i < values / 32; i++)
                scales_[expert][matrix].push_back(
                    uint8_t(119 + random.below(4))); // outputs of order 1
            for (const uint8_t scale : scales_[expert][matrix])
                wide_[expert][matrix].push_back(uint16_t(scale << 7));
        }
}

Routes random_routes(const Shape &shape, int tokens, Random &random) {
    Routes routes{
        tokens, 0, {}, std::vector<float>(size_t(tokens) * size_t(shape.experts_per_token), 0.5f)};
    std::vector<bool> seen(size_t(shape.experts), false);
    for (int token = 0; token < tokens; token++) {
        const size_t first = routes.ids.size();
        while (routes.ids.size() < first + size_t(shape.experts_per_token)) {
            const int id = random.below(shape.experts);
            if (std::find(routes.ids.begin() + long(first), routes.ids.end(), id) !=
                routes.ids.end())
                continue;
            routes.ids.push_back(id);
            if (!seen[size_t(id)]) routes.distinct++;
            seen[size_t(id)] = true;
        }
    }
    return routes;
}

Routes even_routes(const Shape &shape, int per_expert, Random &random) {
    const int tokens = 2 * per_expert, active = 2 * shape.experts_per_token,
              first = random.below(shape.experts);
    Routes routes{tokens,
                  active,
                  {},
                  std::vector<float>(size_t(tokens) * size_t(shape.experts_per_token), 0.5f)};
    for (int slot = 0; slot < tokens * shape.experts_per_token; slot++)
        routes.ids.push_back((first + slot / shape.experts_per_token % 2 * shape.experts_per_token +
                              slot % shape.experts_per_token) %
                             shape.experts);
    return routes;
}

ExpertLayers::ExpertLayers(const Kind &kind, const Shape &shape, int layers, int threads, int parts,
                           ktb_method_t method)
    : shape_(shape) {
    engine_ = ktb_engine_create_json(engine_options(kind, threads, parts).c_str());
    if (engine_ == nullptr) refused(kind.name());
    for (int layer = 0; layer < layers; layer++) {
        layers_.push_back(ktb_moe_create(engine_, layer, shape.experts, shape.experts_per_token,
                                         shape.hidden, shape.intermediate, KTB_IO_F32, method, 0,
                                         10));
        if (layers_.back() != nullptr) continue;
        const std::string reason = ktb_last_error(); // closing clears it
        close();
        throw std::runtime_error(reason);
    }
}

ExpertLayers::~ExpertLayers() { close(); }

void ExpertLayers::close() {
    for (ktb_moe_t layer : layers_) ktb_moe_destroy(layer);
    ktb_engine_destroy(engine_);
}

void ExpertLayers::load(const SourceExperts &source) {
    Pointers codes[3], scales[3];
    for (int matrix = 0; matrix < 3; matrix++)
        for (int expert = 0; expert < shape_.experts; expert++) {
            codes[matrix].push_back(source.codes(expert, matrix).data());
            scales[matrix].push_back(source.wide_scales(expert, matrix).data());
        }
    load_pointers(codes, scales);
}

void ExpertLayers::load_copies(const void *const codes[3], const void *const scales[3]) {
    Pointers code_pointers[3], scale_pointers[3];
    for (int matrix = 0; matrix < 3; matrix++) {
        code_pointers[matrix].assign(size_t(shape_.experts), codes[matrix]);
        scale_pointers[matrix].assign(size_t(shape_.experts), scales[matrix]);
    }
    load_pointers(code_pointers, scale_pointers);
}

void ExpertLayers::load_pointers(const Pointers codes[3], const Pointers scales[3]) {
    for (ktb_moe_t layer : layers_)
        if (ktb_moe_load_weights_ptrs(layer, 0, codes[0].data(), scales[0].data(), codes[1].data(),
                                      scales[1].data(), codes[2].data(), scales[2].data(),
                                      nullptr) != KTB_OK)
            refused("loading");
}

void ExpertLayers::forward(int index, const Routes &routes, const std::vector<float> &input,
                           std::vector<float> &output, float limit) {
    const size_t values = size_t(routes.tokens) * size_t(shape_.hidden);
    if (input.size() < values || output.size() < values)
        throw std::logic_error("a call's buffers are shorter than its tokens");
    const int code = ktb_moe_forward2(layers_[size_t(index) % layers_.size()], routes.tokens,
                                      input.data(), KTB_IO_F32, output.data(), KTB_IO_F32,
                                      routes.ids.data(), routes.weights.data(), 0, limit);
    if (code != KTB_OK) refused("forward");
}

std::string ExpertLayers::describe() const {
    std::vector<char> text(size_t(std::max(0, ktb_engine_describe(engine_, nullptr, 0))) + 1);
    ktb_engine_describe(engine_, text.data(), text.size());
    return text.data();
}

std::string ExpertLayers::kernels() const {
    const std::string text = describe(), key = "\"kernels\":\"";
    const size_t at = text.find(key);
    return at == std::string::npos
               ? ""
               : text.substr(at + key.size(), text.find('"', at + key.size()) - at - key.size());
}

int ExpertLayers::tile_tokens() const { return int(number_after(describe(), "tile_tokens")); }

PhaseTimes ExpertLayers::times() const {
    const std::string text = describe();
    return {number_after(text, "prepare"), number_after(text, "experts"),
            number_after(text, "reduce")};
}

std::vector<float> random_input(const Shape &shape, int tokens) {
    Random random;
    std::vector<float> input(size_t(tokens) * size_t(shape.hidden));
    for (float &value : input) value = random.normal();
    return input;
}

std::vector<Kind> offered_kinds(const Settings &settings, bool full) {
    std::vector<Kind> kinds;
    const auto asked = [](const std::string &wish, const char *name) {
        return wish.empty() || wish == name;
    };
    for (const char *isa : {"amx", "avx512", "avx2"}) {
        if (!asked(settings.isa, isa)) continue;
        const ktb_engine_t engine = ktb_engine_create_json(
            (std::string("{\"threads\":1,\"isa\":\"") + isa + "\"}").c_str());
        if (engine == nullptr) continue; // not of this CPU
        ktb_engine_destroy(engine);
        for (const char *numerics : {"int8", "bf16"})
            if (asked(settings.numerics, numerics)) kinds.push_back({isa, numerics});
        if (!full) break;
    }
    return kinds;
}

} // namespace ds4::bench
