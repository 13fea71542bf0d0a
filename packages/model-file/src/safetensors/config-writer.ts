// The config.json of an official checkpoint from a ModelConfig: what safetensors/config.ts reads
// back.
import { FP8_BLOCK } from "../inventory.ts"
import type { ModelConfig } from "../model-config.ts"

/**
 * The keys of config.json. The release has one SwiGLU limit and one more compression ratio, for the
 * prediction block.
 */
export function officialConfigJson(config: ModelConfig): Record<string, unknown> {
  return {
    architectures: ["DeepseekV4ForCausalLM"],
    model_type: "deepseek_v4",
    num_hidden_layers: config.layers,
    hidden_size: config.hidden,
    vocab_size: config.vocab,
    num_attention_heads: config.heads,
    num_key_value_heads: 1,
    head_dim: config.headDim,
    qk_rope_head_dim: config.ropeDim,
    q_lora_rank: config.qLoraRank,
    o_groups: config.oGroups,
    o_lora_rank: config.oLoraRank,
    n_routed_experts: config.experts,
    num_experts_per_tok: config.expertsPerToken,
    n_shared_experts: 1,
    moe_intermediate_size: config.moeIntermediateSize,
    num_hash_layers: config.hashLayers,
    sliding_window: config.slidingWindow,
    index_n_heads: config.indexHeads,
    index_head_dim: config.indexHeadDim,
    index_topk: config.indexTopK,
    hc_mult: config.streams,
    hc_sinkhorn_iters: config.sinkhornIterations,
    hc_eps: config.hcEpsilon,
    rms_norm_eps: config.normEpsilon,
    max_position_embeddings: config.contextTokens,
    rope_theta: config.ropeTheta,
    compress_rope_theta: config.compressRopeTheta,
    rope_scaling: {
      type: "yarn",
      factor: config.yarnFactor,
      beta_fast: config.yarnBetaFast,
      beta_slow: config.yarnBetaSlow,
      original_max_position_embeddings: config.yarnOriginalTokens,
    },
    compress_ratios: [...config.compressRatios, 0],
    swiglu_limit: config.swigluLimit[0],
    routed_scaling_factor: config.routedScalingFactor,
    norm_topk_prob: config.normaliseWeights,
    scoring_func: "sqrtsoftplus",
    hidden_act: "silu",
    tie_word_embeddings: false,
    num_nextn_predict_layers: config.mtpBlocks,
    bos_token_id: config.bosTokenId,
    eos_token_id: config.eosTokenId,
    expert_dtype: "fp4",
    quantization_config: {
      quant_method: "fp8",
      fmt: "e4m3",
      scale_fmt: "ue8m0",
      weight_block_size: [FP8_BLOCK, FP8_BLOCK],
    },
  }
}
