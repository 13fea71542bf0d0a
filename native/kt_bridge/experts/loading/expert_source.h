// Sources of canonical expert weights: the caller's memory or a folder of safetensors.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experts/weights/layout.h"
#include "experts/loading/stored_matrix.h"

namespace ds4::ktb {

enum ExpertMatrix { kGate = 0, kUp = 1, kDown = 2 };
constexpr const char *kMatrixNames[3] = {"w1", "w3", "w2"}; // in the checkpoint

struct SourceShape {
    ExpertLayerShape layer;
    LayerMethods methods;
    int index;                      // of the layer, for messages
    std::vector<int32_t> kept = {}; // experts to read; a source without any given reads all

    MatrixShape of(int matrix) const {
        return matrix == kDown ? MatrixShape{methods.down, layer.hidden, layer.intermediate}
                               : MatrixShape{methods.gate_up, layer.intermediate, layer.hidden};
    }
};

// Source index of each expert of a layer, as `map` gives it; without a map all experts in order.
// Throws for an index outside the layer's experts.
std::vector<int64_t> mapped_experts(const SourceShape &shape, const int64_t *map);

class ExpertSource {
  public:
    explicit ExpertSource(const SourceShape &shape);
    virtual ~ExpertSource() = default;
    // Canonical codes of rows [begin, begin + rows) of one matrix, contiguous. They may lie in
    // `staging`, which has room for them.
    virtual const uint8_t *codes(int expert, int matrix, int begin, int rows,
                                 uint8_t *staging) const = 0;
    // Writes the canonical scales of these rows to `staging`, from the first row's on, and may use
    // twice their room there. nullptr for a method without scales. Throws for a scale that the
    // method cannot hold.
    virtual const uint8_t *scales(int expert, int matrix, int begin, int rows,
                                  uint8_t *staging) const = 0;
    // For messages, without .weight or .scale.
    virtual std::string name(int expert, int matrix) const = 0;
    virtual ScaleFormat scale_format(int matrix) const = 0; // of all experts
    // Before and after an expert is read. The second throws for bytes that were lost meanwhile.
    virtual void begin_expert(int) const {}
    virtual void end_expert(int) const {}
    const SourceShape &shape() const { return shape_; }

  protected:
    SourceShape shape_;
};

} // namespace ds4::ktb
