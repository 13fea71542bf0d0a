// GGUF metadata from a ModelConfig: what gguf/config.ts reads back, in either dialect.
import type { ModelConfig } from "../model-config.ts"
import { GATING_SQRT_SOFTPLUS, GGUF_ARCHITECTURE } from "./config.ts"
import type { GgufScalarType, GgufValue } from "./metadata.ts"

/**
 * "mainline": what llama.cpp requires and its converter writes. "antirez": the keys of the known
 * antirez files, which lack the routing function and the shared experts' clamp.
 */
export type GgufDialect = "mainline" | "antirez"

interface ConfigMetadataOptions {
  readonly dialect: GgufDialect
  /** llama.cpp's number for the file's main storage type, for display only. */
  readonly fileType: number
}

/** Metadata of the model, without the vocabulary except for its BOS and EOS ids. */
export function metadataFromConfig(
  config: ModelConfig,
  { dialect, fileType }: ConfigMetadataOptions,
): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>()
  const put = (type: GgufScalarType, entries: Record<string, number | boolean | string>): void => {
    for (const [key, value] of Object.entries(entries))
      metadata.set(
        key.includes(".ggml.") || key.startsWith("general.") ? key : `${GGUF_ARCHITECTURE}.${key}`,
        { type, value },
      )
  }
  const list = (element: GgufScalarType, key: string, value: readonly number[]): void => {
    metadata.set(`${GGUF_ARCHITECTURE}.${key}`, { type: "array", element, value })
  }
  put("string", { "general.architecture": GGUF_ARCHITECTURE, "general.name": config.name })
  put("u32", {
    "general.file_type": fileType,
    "general.quantization_version": 2,
    ...wholeNumbers(config),
  })
  put("bool", { expert_weights_norm: config.normaliseWeights })
  put("string", { "rope.scaling.type": "yarn" })
  put("f32", {
    "attention.layer_norm_rms_epsilon": config.normEpsilon,
    "hyper_connection.epsilon": config.hcEpsilon,
    "rope.freq_base": config.ropeTheta,
    "attention.compress_rope_freq_base": config.compressRopeTheta,
    "rope.scaling.factor": config.yarnFactor,
    "rope.scaling.yarn_beta_fast": config.yarnBetaFast,
    "rope.scaling.yarn_beta_slow": config.yarnBetaSlow,
    expert_weights_scale: config.routedScalingFactor,
  })
  list("i32", "attention.compress_ratios", config.compressRatios)
  list("f32", "swiglu_clamp_exp", config.swigluLimit)
  if (dialect === "mainline") {
    put("u32", {
      expert_gating_func: GATING_SQRT_SOFTPLUS,
      embedding_length_out: config.hidden * config.streams,
    })
    list("f32", "swiglu_clamp_shexp", config.sharedSwigluLimit)
  }
  put("u32", {
    "tokenizer.ggml.bos_token_id": config.bosTokenId,
    "tokenizer.ggml.eos_token_id": config.eosTokenId,
  })
  return metadata
}

function wholeNumbers(config: ModelConfig): Record<string, number> {
  return {
    vocab_size: config.vocab,
    context_length: config.contextTokens,
    block_count: config.layers,
    embedding_length: config.hidden,
    feed_forward_length: config.moeIntermediateSize,
    "attention.head_count": config.heads,
    "attention.head_count_kv": 1,
    "attention.key_length": config.headDim,
    "attention.value_length": config.headDim,
    "rope.dimension_count": config.ropeDim,
    "rope.scaling.original_context_length": config.yarnOriginalTokens,
    "attention.q_lora_rank": config.qLoraRank,
    "attention.output_lora_rank": config.oLoraRank,
    "attention.output_group_count": config.oGroups,
    "attention.sliding_window": config.slidingWindow,
    "attention.indexer.head_count": config.indexHeads,
    "attention.indexer.key_length": config.indexHeadDim,
    "attention.indexer.top_k": config.indexTopK,
    expert_count: config.experts,
    expert_used_count: config.expertsPerToken,
    expert_shared_count: 1,
    expert_feed_forward_length: config.moeIntermediateSize,
    hash_layer_count: config.hashLayers,
    "hyper_connection.count": config.streams,
    "hyper_connection.sinkhorn_iterations": config.sinkhornIterations,
  }
}
