// Routed experts as llama.cpp computes them: MXFP4 tensors, and graphs of mul_mat_id over them.
#pragma once
#include <memory>
#include <vector>

#include "moe/expert_layers.h"
#include "moe/ggml_library.h"

namespace ds4::bench {

// The expert tensors of one or more layers in one kind of buffer.
class GgmlExperts {
  public:
    GgmlExperts(const GgmlLibrary &library, void *buffers, const Shape &shape, int layers,
                const SourceExperts &source);
    ~GgmlExperts();
    GgmlExperts(const GgmlExperts &) = delete;
    // Matrix 0 gate, 1 up, 2 down.
    void *matrix(int layer, int matrix) const { return tensors_[size_t(layer * 3 + matrix)]; }
    int layers() const { return int(tensors_.size()) / 3; }

  private:
    const GgmlFunctions &f_;
    void *context_, *buffer_ = nullptr;
    std::vector<void *> tensors_;
};

// Forwards of `tokens` tokens each, one after another in one graph, layer after layer, as in the
// graph of a model.
class GgmlGraph {
  public:
    GgmlGraph(const GgmlLibrary &library, const GgmlExperts &experts, const Shape &shape,
              int tokens, int calls);
    ~GgmlGraph();
    GgmlGraph(const GgmlGraph &) = delete;
    void set(int call, const Routes &routes, const std::vector<float> &input);
    void compute();
    std::vector<float> output(int call) const; // [tokens, hidden]

  private:
    struct Call {
        void *input, *ids, *weights, *output;
    };
    const GgmlLibrary &library_;
    const GgmlFunctions &f_;
    Shape shape_;
    int tokens_;
    void *context_, *graph_ = nullptr, *allocator_ = nullptr;
    std::vector<Call> calls_;
};

// Whether mul_mat_id takes MXFP4 in the library's repacked buffers. It is tried in a process of its
// own, because ggml ends the process where it does not.
bool can_repack(const GgmlLibrary &library);

} // namespace ds4::bench
