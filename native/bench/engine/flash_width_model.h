// A model of a few layers in the width of DeepSeek V4 Flash, with random weights in memory. Blocks
// of every type have scales near 2^-8, so that products take the time of a real model's.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "ds4.h"
#include "model/shape.h"

namespace ds4::bench {

class FlashWidthModel {
  public:
    // Layers 0 and 1 have a window only, then ratios 4 and 128 alternate, as in the release. Dense
    // matrices are Q8_0, experts MXFP4, all else as in the published GGUF files.
    FlashWidthModel(uint32_t layers, uint32_t experts, uint32_t vocab);
    ~FlashWidthModel();
    FlashWidthModel(const FlashWidthModel &) = delete;
    FlashWidthModel &operator=(const FlashWidthModel &) = delete;

    const Shape &shape() const { return shape_; }
    ds4_model *model() const { return model_; }

  private:
    void lay_out();
    void add(int kind, int layer);
    void fill(const ds4_tensor &tensor, uint8_t *bytes) const;

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
