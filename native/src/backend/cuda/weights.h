// The model's tensors in the memory of a GPU: matrices packed for its kernels, small vectors as
// f32.
#pragma once
#include <memory>
#include <vector>

#include "base/load_progress.h"
#include "base/thread_pool.h"
#include "device/device.h"
#include "kernels/experts/experts.h"
#include "kernels/matmul/packed_matrix.h"
#include "model/model.h"

namespace ds4::cuda {

struct MixWeights {
    const float *fn, *base, *scale; // f32; [rows, streams * hidden], [rows], [3 or 1]
};

struct CompressorWeights {
    kernels::PackedMatrix values, gate;
    const float *position_bias, *norm;
};

struct LayerWeights {
    MixWeights attention_mix, ffn_mix;
    const float *attention_norm, *ffn_norm, *q_norm, *kv_norm, *sinks;
    kernels::PackedMatrix q_a, q_b, kv, output_b;
    std::vector<kernels::PackedMatrix> output_a; // [o_groups]
    CompressorWeights compressor, index_compressor;
    kernels::PackedMatrix index_q, index_weights;
    kernels::PackedMatrix router;
    const float *router_bias;    // null in layers that route by hash
    const int32_t *router_table; // null in the others
    kernels::ExpertBank bank;
    const uint8_t *first_expert; // where its experts begin in the mapped file
    kernels::PackedMatrix shared_gate, shared_up, shared_down;
};

// The embedding table stays in the file's order: a step reads some of its rows.
struct EmbeddingTable {
    const uint8_t *rows, *scales;
    uint32_t type;
};

struct WeightBytes {
    uint64_t dense = 0, experts = 0; // as packed
    uint64_t total() const { return dense + experts; }
};

// The bytes that a model will take. Throws Error(DS4_ERR_FORMAT) for what no kernel takes.
WeightBytes packed_weight_bytes(const Model &model);

class Weights {
  public:
    // Packs on the threads of the pool and copies to the GPU that this thread uses. Throws
    // Error(DS4_ERR_DEVICE_MEMORY), Error(DS4_ERR_CANCELLED).
    Weights(const Model &model, ThreadPool &pool, const LoadProgress &progress);

    EmbeddingTable embedding{};
    kernels::PackedMatrix output;
    const float *output_norm = nullptr;
    MixWeights output_mix{};
    std::vector<LayerWeights> layers;
    const float *window_frequencies = nullptr, *compressed_frequencies = nullptr; // of the ropes
    WeightBytes bytes;

  private:
    std::vector<device::Memory> memory_;
};

} // namespace ds4::cuda
