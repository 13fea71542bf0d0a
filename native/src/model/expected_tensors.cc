#include "model/expected_tensors.h"

#include <iterator>

#include "base/fail.h"
#include "ds4.h"

namespace ds4 {
namespace {

using enum TensorUse;
constexpr TensorScope in_model = TensorScope::model, in_layer = TensorScope::layer,
                      in_expert = TensorScope::expert;

enum class Dim {
    one,
    three,
    vocab,
    hidden,
    streams,
    hc_width,
    hc_mix,
    heads,
    head_dim,
    attention,
    q_lora_rank,
    output_low,
    group,
    ratio,
    compressor,
    index,
    index_heads,
    index_head_dim,
    index_compressor,
    experts,
    per_token,
    intermediate
};
enum class Layers { all, compressed, indexed, scored, hashed };
using enum Layers;

struct Row {
    const char *name;
    TensorScope scope;
    TensorUse use;
    Dim rows, cols;
    Layers layers;
};

// In the order of DS4_TENSOR_*.
constexpr Row kRows[] = {
    {"token_embd.weight", in_model, matrix, Dim::vocab, Dim::hidden, all},
    {"output.weight", in_model, matrix, Dim::vocab, Dim::hidden, all},
    {"output_norm.weight", in_model, vector, Dim::one, Dim::hidden, all},
    {"output_hc_fn.weight", in_model, matrix, Dim::streams, Dim::hc_width, all},
    {"output_hc_base.weight", in_model, vector, Dim::one, Dim::streams, all},
    {"output_hc_scale.weight", in_model, vector, Dim::one, Dim::one, all},
    {"hc_attn_fn.weight", in_layer, matrix, Dim::hc_mix, Dim::hc_width, all},
    {"hc_attn_base.weight", in_layer, vector, Dim::one, Dim::hc_mix, all},
    {"hc_attn_scale.weight", in_layer, vector, Dim::one, Dim::three, all},
    {"hc_ffn_fn.weight", in_layer, matrix, Dim::hc_mix, Dim::hc_width, all},
    {"hc_ffn_base.weight", in_layer, vector, Dim::one, Dim::hc_mix, all},
    {"hc_ffn_scale.weight", in_layer, vector, Dim::one, Dim::three, all},
    {"attn_norm.weight", in_layer, vector, Dim::one, Dim::hidden, all},
    {"ffn_norm.weight", in_layer, vector, Dim::one, Dim::hidden, all},
    {"attn_q_a.weight", in_layer, matrix, Dim::q_lora_rank, Dim::hidden, all},
    {"attn_q_a_norm.weight", in_layer, vector, Dim::one, Dim::q_lora_rank, all},
    {"attn_q_b.weight", in_layer, matrix, Dim::attention, Dim::q_lora_rank, all},
    {"attn_kv.weight", in_layer, matrix, Dim::head_dim, Dim::hidden, all},
    {"attn_kv_a_norm.weight", in_layer, vector, Dim::one, Dim::head_dim, all},
    {"attn_sinks.weight", in_layer, vector, Dim::one, Dim::heads, all},
    {"attn_output_a.weight", in_layer, matrix, Dim::output_low, Dim::group, all},
    {"attn_output_b.weight", in_layer, matrix, Dim::hidden, Dim::output_low, all},
    {"attn_compressor_kv.weight", in_layer, matrix, Dim::compressor, Dim::hidden, compressed},
    {"attn_compressor_gate.weight", in_layer, matrix, Dim::compressor, Dim::hidden, compressed},
    {"attn_compressor_ape.weight", in_layer, matrix, Dim::ratio, Dim::compressor, compressed},
    {"attn_compressor_norm.weight", in_layer, vector, Dim::one, Dim::head_dim, compressed},
    {"indexer.attn_q_b.weight", in_layer, matrix, Dim::index, Dim::q_lora_rank, indexed},
    {"indexer.proj.weight", in_layer, matrix, Dim::index_heads, Dim::hidden, indexed},
    {"indexer_compressor_kv.weight", in_layer, matrix, Dim::index_compressor, Dim::hidden, indexed},
    {"indexer_compressor_gate.weight", in_layer, matrix, Dim::index_compressor, Dim::hidden,
     indexed},
    {"indexer_compressor_ape.weight", in_layer, matrix, Dim::ratio, Dim::index_compressor, indexed},
    {"indexer_compressor_norm.weight", in_layer, vector, Dim::one, Dim::index_head_dim, indexed},
    {"ffn_gate_inp.weight", in_layer, matrix, Dim::experts, Dim::hidden, all},
    {"exp_probs_b.bias", in_layer, vector, Dim::one, Dim::experts, scored},
    {"ffn_gate_tid2eid.weight", in_layer, table, Dim::vocab, Dim::per_token, hashed},
    {"ffn_gate_exps.weight", in_expert, matrix, Dim::intermediate, Dim::hidden, all},
    {"ffn_up_exps.weight", in_expert, matrix, Dim::intermediate, Dim::hidden, all},
    {"ffn_down_exps.weight", in_expert, matrix, Dim::hidden, Dim::intermediate, all},
    {"ffn_gate_shexp.weight", in_layer, matrix, Dim::intermediate, Dim::hidden, all},
    {"ffn_up_shexp.weight", in_layer, matrix, Dim::intermediate, Dim::hidden, all},
    {"ffn_down_shexp.weight", in_layer, matrix, Dim::hidden, Dim::intermediate, all},
};
static_assert(std::size(kRows) == DS4_TENSOR_KIND_COUNT);

int64_t size_of(Dim dim, const Shape &s, const LayerShape &l) {
    switch (dim) {
    case Dim::one: return 1;
    case Dim::three: return 3;
    case Dim::vocab: return s.vocab;
    case Dim::hidden: return s.hidden;
    case Dim::streams: return s.streams;
    case Dim::hc_width: return s.hc_width();
    case Dim::hc_mix: return s.hc_mix();
    case Dim::heads: return s.heads;
    case Dim::head_dim: return s.head_dim;
    case Dim::attention: return s.attention_width();
    case Dim::q_lora_rank: return s.q_lora_rank;
    case Dim::output_low: return int64_t(s.o_groups) * s.o_lora_rank;
    case Dim::group: return s.group_width();
    case Dim::ratio: return l.compress_ratio;
    case Dim::compressor: return int64_t(l.compressor_halves()) * s.head_dim;
    case Dim::index: return int64_t(s.index_heads) * s.index_head_dim;
    case Dim::index_heads: return s.index_heads;
    case Dim::index_head_dim: return s.index_head_dim;
    case Dim::index_compressor: return 2 * int64_t(s.index_head_dim);
    case Dim::experts: return s.experts;
    case Dim::per_token: return s.experts_per_token;
    case Dim::intermediate: return s.moe_intermediate_size;
    }
    return 0;
}

bool is_in(Layers layers, const LayerShape &layer) {
    switch (layers) {
    case all: return true;
    case compressed: return layer.compress_ratio != 0;
    case indexed: return layer.has_indexer();
    case scored: return !layer.hash_routed;
    case hashed: return layer.hash_routed;
    }
    return false;
}

} // namespace

ExpectedTensor expected_tensor(const Shape &shape, int kind, int layer) {
    if (kind < 0 || kind >= DS4_TENSOR_KIND_COUNT)
        fail(DS4_ERR_ARGUMENT, "tensor kind %d is not below %d", kind, int(DS4_TENSOR_KIND_COUNT));
    const LayerShape none{0, 0.0f, 0.0f, false};
    const LayerShape &facts = layer >= 0 ? shape.layer[size_t(layer)] : none;
    const Row &row = kRows[kind];
    return {row.name,
            row.scope,
            row.use,
            size_of(row.rows, shape, facts),
            size_of(row.cols, shape, facts),
            is_in(row.layers, facts)};
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
