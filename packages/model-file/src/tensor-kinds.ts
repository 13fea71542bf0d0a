// Roles a weight can have in this family. The order is the C enum DS4_TENSOR_* of
// native/include/ds4.h (a test of @ds4/engine holds the two together). `gguf` is the name after
// "blk.{l}." or, for the model level, the whole name; `official` is the safetensors name after
// "layers.{l}." or the whole name.
type TensorScope = "model" | "layer" | "expert"

export interface TensorKind {
  readonly name: string
  readonly scope: TensorScope
  readonly gguf: string
  readonly official: string
}

// The type parameter keeps each name's literal type, so that TensorKindName is their union.
const kind = <Name extends string>(
  name: Name,
  scope: TensorScope,
  gguf: string,
  official: string,
): TensorKind & { readonly name: Name } => ({ name, scope, gguf, official })

export const TENSOR_KINDS = [
  kind("TOKEN_EMBD", "model", "token_embd.weight", "embed.weight"),
  kind("OUTPUT", "model", "output.weight", "head.weight"),
  kind("OUTPUT_NORM", "model", "output_norm.weight", "norm.weight"),
  kind("OUTPUT_HC_FN", "model", "output_hc_fn.weight", "hc_head_fn"),
  kind("OUTPUT_HC_BASE", "model", "output_hc_base.weight", "hc_head_base"),
  kind("OUTPUT_HC_SCALE", "model", "output_hc_scale.weight", "hc_head_scale"),
  kind("HC_ATTN_FN", "layer", "hc_attn_fn.weight", "hc_attn_fn"),
  kind("HC_ATTN_BASE", "layer", "hc_attn_base.weight", "hc_attn_base"),
  kind("HC_ATTN_SCALE", "layer", "hc_attn_scale.weight", "hc_attn_scale"),
  kind("HC_FFN_FN", "layer", "hc_ffn_fn.weight", "hc_ffn_fn"),
  kind("HC_FFN_BASE", "layer", "hc_ffn_base.weight", "hc_ffn_base"),
  kind("HC_FFN_SCALE", "layer", "hc_ffn_scale.weight", "hc_ffn_scale"),
  kind("ATTN_NORM", "layer", "attn_norm.weight", "attn_norm.weight"),
  kind("FFN_NORM", "layer", "ffn_norm.weight", "ffn_norm.weight"),
  kind("ATTN_Q_A", "layer", "attn_q_a.weight", "attn.wq_a.weight"),
  kind("ATTN_Q_A_NORM", "layer", "attn_q_a_norm.weight", "attn.q_norm.weight"),
  kind("ATTN_Q_B", "layer", "attn_q_b.weight", "attn.wq_b.weight"),
  kind("ATTN_KV", "layer", "attn_kv.weight", "attn.wkv.weight"),
  kind("ATTN_KV_A_NORM", "layer", "attn_kv_a_norm.weight", "attn.kv_norm.weight"),
  kind("ATTN_SINKS", "layer", "attn_sinks.weight", "attn.attn_sink"),
  kind("ATTN_OUTPUT_A", "layer", "attn_output_a.weight", "attn.wo_a.weight"),
  kind("ATTN_OUTPUT_B", "layer", "attn_output_b.weight", "attn.wo_b.weight"),
  kind("COMPRESSOR_KV", "layer", "attn_compressor_kv.weight", "attn.compressor.wkv.weight"),
  kind("COMPRESSOR_GATE", "layer", "attn_compressor_gate.weight", "attn.compressor.wgate.weight"),
  kind("COMPRESSOR_APE", "layer", "attn_compressor_ape.weight", "attn.compressor.ape"),
  kind("COMPRESSOR_NORM", "layer", "attn_compressor_norm.weight", "attn.compressor.norm.weight"),
  kind("INDEXER_Q_B", "layer", "indexer.attn_q_b.weight", "attn.indexer.wq_b.weight"),
  kind("INDEXER_PROJ", "layer", "indexer.proj.weight", "attn.indexer.weights_proj.weight"),
  kind(
    "INDEXER_COMPRESSOR_KV",
    "layer",
    "indexer_compressor_kv.weight",
    "attn.indexer.compressor.wkv.weight",
  ),
  kind(
    "INDEXER_COMPRESSOR_GATE",
    "layer",
    "indexer_compressor_gate.weight",
    "attn.indexer.compressor.wgate.weight",
  ),
  kind(
    "INDEXER_COMPRESSOR_APE",
    "layer",
    "indexer_compressor_ape.weight",
    "attn.indexer.compressor.ape",
  ),
  kind(
    "INDEXER_COMPRESSOR_NORM",
    "layer",
    "indexer_compressor_norm.weight",
    "attn.indexer.compressor.norm.weight",
  ),
  kind("ROUTER", "layer", "ffn_gate_inp.weight", "ffn.gate.weight"),
  kind("ROUTER_BIAS", "layer", "exp_probs_b.bias", "ffn.gate.bias"),
  kind("ROUTER_TABLE", "layer", "ffn_gate_tid2eid.weight", "ffn.gate.tid2eid"),
  kind("EXPERT_GATE", "expert", "ffn_gate_exps.weight", "w1.weight"),
  kind("EXPERT_UP", "expert", "ffn_up_exps.weight", "w3.weight"),
  kind("EXPERT_DOWN", "expert", "ffn_down_exps.weight", "w2.weight"),
  kind("SHARED_GATE", "layer", "ffn_gate_shexp.weight", "ffn.shared_experts.w1.weight"),
  kind("SHARED_UP", "layer", "ffn_up_shexp.weight", "ffn.shared_experts.w3.weight"),
  kind("SHARED_DOWN", "layer", "ffn_down_shexp.weight", "ffn.shared_experts.w2.weight"),
] as const satisfies readonly TensorKind[]

export type TensorKindName = (typeof TENSOR_KINDS)[number]["name"]
