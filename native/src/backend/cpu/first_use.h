// Checks the block scales of a matrix before its first product. A model larger than memory is not
// read when it is opened, so a damaged scale is found here. It becomes an error that names the
// tensor, instead of NaN in the logits.
#pragma once
#include <cstdint>
#include <vector>

#include "backend/cpu/kernels/matmul.h"
#include "base/thread_pool.h"

namespace ds4::cpu {

struct LayerWeights;

class FirstUse {
  public:
    FirstUse(ThreadPool &pool, int layers, int experts)
        : pool_(pool), experts_(experts), layer_done_(size_t(layers)),
          expert_done_(size_t(layers) * size_t(experts)) {}

    // All of these throw Error(DS4_ERR_FORMAT) with tensor and row, at every call until the file is
    // repaired.
    void layer(int layer, const LayerWeights &weights); // everything but routed experts
    void expert(int layer, int expert, const LayerWeights &weights);
    void output(const Matrix &matrix);

  private:
    void check(const Matrix &matrix, int layer, const char *name, int expert);

    ThreadPool &pool_;
    int experts_;
    std::vector<uint8_t> layer_done_, expert_done_;
    bool output_done_ = false;
};

} // namespace ds4::cpu
