#include "backend/cpu/weights.h"

#include "backend/cpu/context.h"
#include "ds4.h"
#include "model/tensor_values.h"

namespace ds4::cpu {
namespace {

MixWeights mix_of(const TensorView &fn, const TensorView &base, const TensorView &scale) {
    return {matrix_of(fn), floats_of(base), floats_of(scale)};
}

std::vector<Matrix> matrices_of(const std::vector<TensorView> &views) {
    std::vector<Matrix> out;
    for (const TensorView &view : views) out.push_back(matrix_of(view));
    return out;
}

LayerWeights layer_of(const Shape &shape, const LayerShape &layer, const LayerTensors &t) {
    LayerWeights w;
    w.attention_mix =
        mix_of(t[DS4_TENSOR_HC_ATTN_FN], t[DS4_TENSOR_HC_ATTN_BASE], t[DS4_TENSOR_HC_ATTN_SCALE]);
    w.ffn_mix =
        mix_of(t[DS4_TENSOR_HC_FFN_FN], t[DS4_TENSOR_HC_FFN_BASE], t[DS4_TENSOR_HC_FFN_SCALE]);
    w.attention_norm = floats_of(t[DS4_TENSOR_ATTN_NORM]),
    w.ffn_norm = floats_of(t[DS4_TENSOR_FFN_NORM]);
    w.q_norm = floats_of(t[DS4_TENSOR_ATTN_Q_A_NORM]),
    w.kv_norm = floats_of(t[DS4_TENSOR_ATTN_KV_A_NORM]);
    w.sinks = floats_of(t[DS4_TENSOR_ATTN_SINKS]);
    w.q_a = matrix_of(t[DS4_TENSOR_ATTN_Q_A]), w.q_b = matrix_of(t[DS4_TENSOR_ATTN_Q_B]);
    w.kv = matrix_of(t[DS4_TENSOR_ATTN_KV]), w.output_b = matrix_of(t[DS4_TENSOR_ATTN_OUTPUT_B]);
    for (int g = 0; g < shape.o_groups; g++)
        w.output_a.push_back(matrix_of(t[DS4_TENSOR_ATTN_OUTPUT_A].slice_rows(
            int64_t(g) * shape.o_lora_rank, shape.o_lora_rank)));
    if (layer.compress_ratio != 0)
        w.compressor = {
            matrix_of(t[DS4_TENSOR_COMPRESSOR_KV]), matrix_of(t[DS4_TENSOR_COMPRESSOR_GATE]),
            floats_of(t[DS4_TENSOR_COMPRESSOR_APE]), floats_of(t[DS4_TENSOR_COMPRESSOR_NORM])};
    if (layer.has_indexer()) {
        w.index_compressor = {matrix_of(t[DS4_TENSOR_INDEXER_COMPRESSOR_KV]),
                              matrix_of(t[DS4_TENSOR_INDEXER_COMPRESSOR_GATE]),
                              floats_of(t[DS4_TENSOR_INDEXER_COMPRESSOR_APE]),
                              floats_of(t[DS4_TENSOR_INDEXER_COMPRESSOR_NORM])};
        w.index_q = matrix_of(t[DS4_TENSOR_INDEXER_Q_B]),
        w.index_weights = matrix_of(t[DS4_TENSOR_INDEXER_PROJ]);
    }
    w.router = matrix_of(t[DS4_TENSOR_ROUTER]);
    if (layer.hash_routed)
        w.router_table = ids_of(t[DS4_TENSOR_ROUTER_TABLE]);
    else
        w.router_bias = floats_of(t[DS4_TENSOR_ROUTER_BIAS]);
    w.gate = matrices_of(t.gate), w.up = matrices_of(t.up), w.down = matrices_of(t.down);
    w.shared_gate = matrix_of(t[DS4_TENSOR_SHARED_GATE]),
    w.shared_up = matrix_of(t[DS4_TENSOR_SHARED_UP]);
    w.shared_down = matrix_of(t[DS4_TENSOR_SHARED_DOWN]);
    return w;
}

} // namespace

Weights::Weights(const Model &model) {
    embedding = matrix_of(model.global(DS4_TENSOR_TOKEN_EMBD));
    output = matrix_of(model.global(DS4_TENSOR_OUTPUT));
    output_norm = floats_of(model.global(DS4_TENSOR_OUTPUT_NORM));
    output_mix =
        mix_of(model.global(DS4_TENSOR_OUTPUT_HC_FN), model.global(DS4_TENSOR_OUTPUT_HC_BASE),
               model.global(DS4_TENSOR_OUTPUT_HC_SCALE));
    for (int l = 0; l < model.shape().layers; l++)
        layers.push_back(layer_of(model.shape(), model.shape().layer[size_t(l)], model.layer(l)));
}

} // namespace ds4::cpu
