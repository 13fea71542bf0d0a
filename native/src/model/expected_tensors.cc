#include "model/expected_tensors.h"

#include "base/status.h"

namespace ds4 {

ExpectedTensor expected_tensor(const Shape &s, int kind, int layer) {
    using enum TensorUse;
    constexpr TensorScope of_model = TensorScope::model, of_layer = TensorScope::layer,
                          of_expert = TensorScope::expert;
    const LayerShape none{0, 0.0f, 0.0f, false};
    const LayerShape &l = layer >= 0 ? s.layer[size_t(layer)] : none;
    const int ratio = l.compress_ratio;
    const int64_t compressor = int64_t(l.compressor_halves()) * s.head_dim;
    const int64_t index_compressor = 2 * int64_t(s.index_head_dim);
    const int64_t mix = s.hc_mix(), wide = s.hc_width();
    const bool compressed = ratio != 0, indexed = l.has_indexer();
    switch (kind) {
    case DS4_TENSOR_TOKEN_EMBD:
        return {"token_embd.weight", of_model, matrix, s.vocab, s.hidden, true};
    case DS4_TENSOR_OUTPUT: return {"output.weight", of_model, matrix, s.vocab, s.hidden, true};
    case DS4_TENSOR_OUTPUT_NORM: return {"output_norm.weight", of_model, vector, 1, s.hidden, true};
    case DS4_TENSOR_OUTPUT_HC_FN:
        return {"output_hc_fn.weight", of_model, matrix, s.streams, wide, true};
    case DS4_TENSOR_OUTPUT_HC_BASE:
        return {"output_hc_base.weight", of_model, vector, 1, s.streams, true};
    case DS4_TENSOR_OUTPUT_HC_SCALE:
        return {"output_hc_scale.weight", of_model, vector, 1, 1, true};
    case DS4_TENSOR_HC_ATTN_FN: return {"hc_attn_fn.weight", of_layer, matrix, mix, wide, true};
    case DS4_TENSOR_HC_ATTN_BASE: return {"hc_attn_base.weight", of_layer, vector, 1, mix, true};
    case DS4_TENSOR_HC_ATTN_SCALE: return {"hc_attn_scale.weight", of_layer, vector, 1, 3, true};
    case DS4_TENSOR_HC_FFN_FN: return {"hc_ffn_fn.weight", of_layer, matrix, mix, wide, true};
    case DS4_TENSOR_HC_FFN_BASE: return {"hc_ffn_base.weight", of_layer, vector, 1, mix, true};
    case DS4_TENSOR_HC_FFN_SCALE: return {"hc_ffn_scale.weight", of_layer, vector, 1, 3, true};
    case DS4_TENSOR_ATTN_NORM: return {"attn_norm.weight", of_layer, vector, 1, s.hidden, true};
    case DS4_TENSOR_FFN_NORM: return {"ffn_norm.weight", of_layer, vector, 1, s.hidden, true};
    case DS4_TENSOR_ATTN_Q_A:
        return {"attn_q_a.weight", of_layer, matrix, s.q_lora_rank, s.hidden, true};
    case DS4_TENSOR_ATTN_Q_A_NORM:
        return {"attn_q_a_norm.weight", of_layer, vector, 1, s.q_lora_rank, true};
    case DS4_TENSOR_ATTN_Q_B:
        return {"attn_q_b.weight", of_layer, matrix, s.attention_width(), s.q_lora_rank, true};
    case DS4_TENSOR_ATTN_KV:
        return {"attn_kv.weight", of_layer, matrix, s.head_dim, s.hidden, true};
    case DS4_TENSOR_ATTN_KV_A_NORM:
        return {"attn_kv_a_norm.weight", of_layer, vector, 1, s.head_dim, true};
    case DS4_TENSOR_ATTN_SINKS: return {"attn_sinks.weight", of_layer, vector, 1, s.heads, true};
    case DS4_TENSOR_ATTN_OUTPUT_A:
        return {"attn_output_a.weight", of_layer, matrix, int64_t(s.o_groups) * s.o_lora_rank,
                s.group_width(),        true};
    case DS4_TENSOR_ATTN_OUTPUT_B:
        return {"attn_output_b.weight",
                of_layer,
                matrix,
                s.hidden,
                int64_t(s.o_groups) * s.o_lora_rank,
                true};
    case DS4_TENSOR_COMPRESSOR_KV:
        return {"attn_compressor_kv.weight", of_layer, matrix, compressor, s.hidden, compressed};
    case DS4_TENSOR_COMPRESSOR_GATE:
        return {"attn_compressor_gate.weight", of_layer, matrix, compressor, s.hidden, compressed};
    case DS4_TENSOR_COMPRESSOR_APE:
        return {"attn_compressor_ape.weight", of_layer, matrix, ratio, compressor, compressed};
    case DS4_TENSOR_COMPRESSOR_NORM:
        return {"attn_compressor_norm.weight", of_layer, vector, 1, s.head_dim, compressed};
    case DS4_TENSOR_INDEXER_Q_B:
        return {"indexer.attn_q_b.weight",
                of_layer,
                matrix,
                int64_t(s.index_heads) * s.index_head_dim,
                s.q_lora_rank,
                indexed};
    case DS4_TENSOR_INDEXER_PROJ:
        return {"indexer.proj.weight", of_layer, matrix, s.index_heads, s.hidden, indexed};
    case DS4_TENSOR_INDEXER_COMPRESSOR_KV:
        return {
            "indexer_compressor_kv.weight", of_layer, matrix, index_compressor, s.hidden, indexed};
    case DS4_TENSOR_INDEXER_COMPRESSOR_GATE:
        return {"indexer_compressor_gate.weight",
                of_layer,
                matrix,
                index_compressor,
                s.hidden,
                indexed};
    case DS4_TENSOR_INDEXER_COMPRESSOR_APE:
        return {
            "indexer_compressor_ape.weight", of_layer, matrix, ratio, index_compressor, indexed};
    case DS4_TENSOR_INDEXER_COMPRESSOR_NORM:
        return {"indexer_compressor_norm.weight", of_layer, vector, 1, s.index_head_dim, indexed};
    case DS4_TENSOR_ROUTER:
        return {"ffn_gate_inp.weight", of_layer, matrix, s.experts, s.hidden, true};
    case DS4_TENSOR_ROUTER_BIAS:
        return {"exp_probs_b.bias", of_layer, vector, 1, s.experts, !l.hash_routed};
    case DS4_TENSOR_ROUTER_TABLE:
        return {"ffn_gate_tid2eid.weight", of_layer,     table, s.vocab,
                s.experts_per_token,       l.hash_routed};
    case DS4_TENSOR_EXPERT_GATE:
        return {"ffn_gate_exps.weight", of_expert, matrix, s.moe_intermediate_size, s.hidden, true};
    case DS4_TENSOR_EXPERT_UP:
        return {"ffn_up_exps.weight", of_expert, matrix, s.moe_intermediate_size, s.hidden, true};
    case DS4_TENSOR_EXPERT_DOWN:
        return {"ffn_down_exps.weight", of_expert, matrix, s.hidden, s.moe_intermediate_size, true};
    case DS4_TENSOR_SHARED_GATE:
        return {"ffn_gate_shexp.weight", of_layer, matrix, s.moe_intermediate_size, s.hidden, true};
    case DS4_TENSOR_SHARED_UP:
        return {"ffn_up_shexp.weight", of_layer, matrix, s.moe_intermediate_size, s.hidden, true};
    case DS4_TENSOR_SHARED_DOWN:
        return {"ffn_down_shexp.weight", of_layer, matrix, s.hidden, s.moe_intermediate_size, true};
    default:
        fail(DS4_ERR_ARGUMENT, "tensor kind %d is not below %d", kind, int(DS4_TENSOR_KIND_COUNT));
    }
}

bool type_allowed(TensorUse use, TensorScope scope, uint32_t type) {
    if (use == TensorUse::table) return type == DS4_TYPE_I32 || type == DS4_TYPE_I64;
    switch (type) {
    case DS4_TYPE_F32:
    case DS4_TYPE_F16:
    case DS4_TYPE_BF16: return true;
    case DS4_TYPE_Q8_0:
    case DS4_TYPE_F8_E4M3: return use == TensorUse::matrix;
    case DS4_TYPE_Q2_K:
    case DS4_TYPE_Q4_K:
    case DS4_TYPE_IQ2_XXS:
    case DS4_TYPE_MXFP4:
    case DS4_TYPE_FP4_PACKED: return use == TensorUse::matrix && scope == TensorScope::expert;
    default: return false;
    }
}

} // namespace ds4
