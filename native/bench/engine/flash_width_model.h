// A model of a few layers in the width of DeepSeek V4 Flash, with random weights in memory. Blocks
// of every type have scales near 2^-8, so that products take the time of a real model's.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ds4.h"
#include "model/shape.h"

namespace ds4::bench {

struct FlashWidthOptions {
    uint32_t layers = 6, experts = 32, vocab = 16384;
    uint32_t gate_up_type = DS4_TYPE_MXFP4, down_type = DS4_TYPE_MXFP4;
    // Layers whose experts have different bytes. The experts of all layers overlap in the file,
    // each layer some rows further; layers this far apart have the same.
    uint32_t expert_banks = 64;
};

class FlashWidthModel {
  public:
    // Layers 0 and 1 have a window only, then ratios 4 and 128 alternate, as in the release. Dense
    // matrices are Q8_0, all but experts else as in the published GGUF files. Layers of the same
    // kind share their bytes, so that the file stays small.
    explicit FlashWidthModel(const FlashWidthOptions &options);
    ~FlashWidthModel();
    FlashWidthModel(const FlashWidthModel &) = delete;
    FlashWidthModel &operator=(const FlashWidthModel &) = delete;

    const Shape &shape() const { return shape_; }
    ds4_model *model() const { return model_; }

  private:
    void lay_out();
    void add(int kind, int layer);
    uint32_t stored_type(int kind, int layer) const;
    uint64_t place(const ds4_tensor &tensor, int kind, int layer);
    void fill(const ds4_tensor &tensor, uint8_t *bytes) const;

    const FlashWidthOptions options_;
    std::map<std::pair<int, int>, uint64_t> places_; // by kind and the first layer with these bytes
    std::vector<size_t> filled_;                     // tensors whose bytes others share
    ds4_shape raw_{};
    std::vector<ds4_layer_options> layers_;
    Shape shape_;
    std::vector<ds4_tensor> tensors_;
    std::string names_;
    uint64_t bytes_ = 0;
    int file_ = -1;
    ds4_model *model_ = nullptr;
};

// Ends the program with the library's message if a call failed.
void expect_ok(ds4_status status, const char *call);

} // namespace ds4::bench
