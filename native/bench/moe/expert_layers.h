// Layers of random experts in the expert library, reached through its C interface alone.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kt_bridge.h"
#include "moe/settings.h"

namespace ds4::bench {

struct Kind {
    std::string isa, numerics; // as the engine's options name them

    std::string name() const { return isa + " " + numerics; }
};

// A few experts in canonical form. Expert e of every layer is a copy of number e % kCount.
class SourceExperts {
  public:
    static constexpr int kCount = 7; // no divisor of the shapes: a wrong expert shows
    explicit SourceExperts(const Shape &shape);
    // [rows, cols / 2]
    const std::vector<uint8_t> &codes(int expert, int matrix) const {
        return codes_[expert % kCount][matrix];
    }
    // E8M0 [rows, cols / 32]
    const std::vector<uint8_t> &scales(int expert, int matrix) const {
        return scales_[expert % kCount][matrix];
    }
    // The same scales in bf16.
    const std::vector<uint16_t> &wide_scales(int expert, int matrix) const {
        return wide_[expert % kCount][matrix];
    }

  private:
    std::vector<uint8_t> codes_[kCount][3], scales_[kCount][3]; // gate, up, down
    std::vector<uint16_t> wide_[kCount][3];
};

// Deterministic numbers for ids and activations.
class Random {
  public:
    uint64_t next();
    int below(int bound) { return int((next() >> 33) % uint64_t(bound)); }
    float normal(); // roughly normal, variance 1

  private:
    uint64_t state_ = 1;
};

// The routes of one call.
struct Routes {
    int tokens = 0, distinct = 0;
    std::vector<int32_t> ids;   // [tokens, experts per token]
    std::vector<float> weights; // [tokens, experts per token]
};
// Every token takes different experts, drawn evenly from the layer.
Routes random_routes(const Shape &shape, int tokens, Random &random);
// Twice the experts of a token, from a random one on, have `per_expert` tokens each.
Routes even_routes(const Shape &shape, int per_expert, Random &random);

struct PhaseTimes {
    double prepare, experts, reduce; // microseconds, of the last forward
};

class ExpertLayers {
  public:
    // Throws std::runtime_error with the library's message when the CPU lacks the instruction set
    // or memory is short.
    ExpertLayers(const Kind &kind, const Shape &shape, int layers, int threads, int parts,
                 ktb_method_t method = KTB_MXFP4);
    ~ExpertLayers();
    ExpertLayers(const ExpertLayers &) = delete;
    void load(const SourceExperts &source);
    // Loads codes and scales of gate, up and down in the method's canonical form, the same for
    // every expert.
    void load_copies(const void *const codes[3], const void *const scales[3]);

    // Makes one call on layer `index % layers`. Limit 0 leaves the clamp out.
    void forward(int index, const Routes &routes, const std::vector<float> &input,
                 std::vector<float> &output, float limit = 10);
    int layers() const { return int(layers_.size()); }
    std::string kernels() const; // the table that the engine uses on this CPU
    // Tokens of an expert from which it goes to bf16 matrix tiles; 0: none does.
    int tile_tokens() const;
    std::string describe() const; // the engine's JSON
    PhaseTimes times() const;
    ktb_engine_t engine() const { return engine_; }
    const std::vector<ktb_moe_t> &handles() const { return layers_; }

  private:
    using Pointers = std::vector<const void *>; // of every expert
    void load_pointers(const Pointers codes[3], const Pointers scales[3]);
    void close();
    Shape shape_;
    ktb_engine_t engine_ = nullptr;
    std::vector<ktb_moe_t> layers_;
};

// [tokens, hidden] of roughly normal values.
std::vector<float> random_input(const Shape &shape, int tokens);

// Instruction sets and numerics that the library offers on this CPU, as far as the settings ask for
// them, best first. full: all instruction sets, else the best.
std::vector<Kind> offered_kinds(const Settings &settings, bool full);

} // namespace ds4::bench
