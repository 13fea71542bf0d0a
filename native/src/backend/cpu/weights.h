// The model's tensors as the CPU blocks use them: matrices where they lie in the file, small
// vectors as f32.
#pragma once
#include <vector>

#include "backend/cpu/kernels/matmul.h"
#include "model/model.h"

namespace ds4::cpu {

using Floats = std::vector<float>;

struct MixWeights {     // one hyper-connection
    Matrix fn;          // [hc_mix or streams, streams * hidden]
    Floats base, scale; // [fn.rows], [3 or 1]
};

struct CompressorWeights {
    Matrix values, gate;  // [halves * dim, hidden]
    Floats position_bias; // [ratio, halves * dim]
    Floats norm;          // [dim]
};

struct LayerWeights {
    MixWeights attention_mix, ffn_mix;
    Floats attention_norm, ffn_norm, q_norm, kv_norm, sinks;
    Matrix q_a, q_b, kv, output_b;
    std::vector<Matrix> output_a; // [o_groups], each [o_lora_rank, group_width]
    CompressorWeights compressor, index_compressor;
    Matrix index_q, index_weights;
    Matrix router;
    Floats router_bias;                 // empty in hash-routed layers
    std::vector<int32_t> router_table;  // [vocab, experts_per_token], hash-routed layers only
    std::vector<Matrix> gate, up, down; // [experts]
    Matrix shared_gate, shared_up, shared_down;
};

struct Weights {
    Matrix embedding, output;
    Floats output_norm;
    MixWeights output_mix;
    std::vector<LayerWeights> layers;
    Weights() = default;
    explicit Weights(const Model &model);
};

} // namespace ds4::cpu
