// The published configurations of the family, for fixtures and tests: the numbers are facts about the releases.
import type { ModelConfig } from "@ds4/tokenizer"

/** Layers 0 and 1 as given, then 4 and 128 in turn, starting with 4. */
const ratios = (first: number, layers: number): number[] =>
  Array.from({ length: layers }, (_, layer) => (layer < 2 ? first : layer % 2 === 0 ? 4 : 128))

const clamps = (layers: number): number[] => Array.from({ length: layers }, () => 10)
const f32 = Math.fround

export const FLASH_CONFIG: ModelConfig = {
  name: "Flash shapes, empty weights", layers: 43, hidden: 4096, vocab: 129280, heads: 64, headDim: 512, ropeDim: 64,
  qRank: 1024, outGroups: 8, outRank: 1024, experts: 256, expertsUsed: 6, expertWidth: 2048, hashLayers: 3, window: 128,
  indexHeads: 64, indexDim: 128, indexTopK: 512, streams: 4, sinkhornIterations: 20, contextTokens: 1048576,
  normaliseWeights: true, normEpsilon: f32(1e-6), hcEpsilon: f32(1e-6), ropeTheta: 10000, compressRopeTheta: 160000,
  yarnFactor: 16, yarnBetaFast: 32, yarnBetaSlow: 1, yarnOriginalTokens: 65536, routedScale: 1.5,
  compressRatios: ratios(0, 43), swigluLimit: clamps(43), sharedSwigluLimit: clamps(43), bosTokenId: 0, eosTokenId: 1, mtpBlocks: 1,
}

export const PRO_CONFIG: ModelConfig = {
  ...FLASH_CONFIG, name: "Pro shapes, empty weights", layers: 61, hidden: 7168, heads: 128, qRank: 1536, outGroups: 16,
  experts: 384, expertWidth: 3072, indexTopK: 1024, routedScale: 2.5,
  compressRatios: ratios(128, 61), swigluLimit: clamps(61), sharedSwigluLimit: clamps(61),
}

/** The config.json that the official release would have for a configuration. */
export function officialConfigJson(config: ModelConfig): Record<string, unknown> {
  return {
    architectures: ["DeepseekV4ForCausalLM"], model_type: "deepseek_v4",
    num_hidden_layers: config.layers, hidden_size: config.hidden, vocab_size: config.vocab,
    num_attention_heads: config.heads, num_key_value_heads: 1, head_dim: config.headDim, qk_rope_head_dim: config.ropeDim,
    q_lora_rank: config.qRank, o_groups: config.outGroups, o_lora_rank: config.outRank,
    n_routed_experts: config.experts, num_experts_per_tok: config.expertsUsed, n_shared_experts: 1,
    moe_intermediate_size: config.expertWidth, num_hash_layers: config.hashLayers, sliding_window: config.window,
    index_n_heads: config.indexHeads, index_head_dim: config.indexDim, index_topk: config.indexTopK,
    hc_mult: config.streams, hc_sinkhorn_iters: config.sinkhornIterations, hc_eps: 1e-6, rms_norm_eps: 1e-6,
    max_position_embeddings: config.contextTokens, rope_theta: config.ropeTheta, compress_rope_theta: config.compressRopeTheta,
    rope_scaling: {
      type: "yarn", factor: config.yarnFactor, beta_fast: config.yarnBetaFast, beta_slow: config.yarnBetaSlow,
      original_max_position_embeddings: config.yarnOriginalTokens,
    },
    compress_ratios: [...config.compressRatios, 0], swiglu_limit: config.swigluLimit[0], routed_scaling_factor: config.routedScale,
    norm_topk_prob: config.normaliseWeights, scoring_func: "sqrtsoftplus", hidden_act: "silu", tie_word_embeddings: false,
    num_nextn_predict_layers: config.mtpBlocks, bos_token_id: config.bosTokenId, eos_token_id: config.eosTokenId,
    expert_dtype: "fp4", quantization_config: { quant_method: "fp8", fmt: "e4m3", scale_fmt: "ue8m0", weight_block_size: [128, 128] },
  }
}
