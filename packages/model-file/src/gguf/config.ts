// Reads a ModelConfig from GGUF metadata, of the antirez files and of mainline llama.cpp. They
// share the keys. llama.cpp may give one number where the others give one a layer, and it writes
// expert_gating_func. Newer versions may count prediction blocks among the layers.
import { CONFIG_LIMITS } from "../limits.ts"
import { MetadataReader } from "../metadata-reader.ts"
import { checkModelConfig, type ModelConfig } from "../model-config.ts"
import { ModelFileError } from "../model-file-error.ts"

export const GGUF_ARCHITECTURE = "deepseek4"
/** llama.cpp's number for sqrt(softplus) routing, the only one that this family uses. */
export const GATING_SQRT_SOFTPLUS = 4

/**
 * @param metadata plain values by key
 * @param hasTensor whether the directory has a tensor of that name
 * @param fallbackName the model's name when general.name is absent
 * @throws ModelFileError MISSING, VALUE or UNSUPPORTED, naming the key
 */
export function configFromGguf(
  metadata: ReadonlyMap<string, unknown>,
  hasTensor: (name: string) => boolean,
  path: string,
  fallbackName: string,
): ModelConfig {
  const general = new MetadataReader(metadata, path)
  const architecture = general.text("general.architecture")
  if (architecture !== GGUF_ARCHITECTURE) {
    throw new ModelFileError(
      "UNSUPPORTED",
      `general.architecture is "${architecture}"; only "${GGUF_ARCHITECTURE}" is supported`,
      { path },
    )
  }
  const keys = new MetadataReader(metadata, path, `${GGUF_ARCHITECTURE}.`)
  keys.only("expert_gating_func", GATING_SQRT_SOFTPLUS)
  keys.only("attention.head_count_kv", 1)
  keys.only("expert_shared_count", 1)
  keys.only("rope.scaling.type", "yarn")
  const { layers, mtpBlocks } = layersOf(keys, hasTensor)
  const config: ModelConfig = {
    name: general.label("general.name", fallbackName),
    layers,
    mtpBlocks,
    ...shapeOf(keys, layers),
    ...constantsOf(keys, layers),
    vocab: vocabulary(keys, general),
    bosTokenId: general.tokenId("tokenizer.ggml.bos_token_id"),
    eosTokenId: general.tokenId("tokenizer.ggml.eos_token_id"),
  }
  checkModelConfig(config, path)
  if (config.headDim !== keys.whole("attention.value_length", config.headDim)) {
    throw keys.refuse(
      "UNSUPPORTED",
      `deepseek4.attention.value_length differs from key_length ${config.headDim}; keys and ` +
        `values are the same rows here`,
    )
  }
  return config
}

/** Layers, and blocks of multi-token prediction, which some converters count among the layers. */
function layersOf(
  keys: MetadataReader,
  hasTensor: (name: string) => boolean,
): { layers: number; mtpBlocks: number } {
  const blocks = keys.whole("block_count")
  const mtpBlocks = keys.whole("nextn_predict_layers", 0)
  const isCounted = mtpBlocks > 0 && hasTensor(`blk.${blocks - mtpBlocks}.nextn.eh_proj.weight`)
  const layers = isCounted ? blocks - mtpBlocks : blocks
  if (layers < 1 || layers > CONFIG_LIMITS.layers)
    throw keys.refuse(
      "VALUE",
      `deepseek4.block_count is ${blocks}; expected 1 to ${CONFIG_LIMITS.layers} layers`,
    )
  return { layers, mtpBlocks }
}

/** The vocabulary's size, which the number of token strings must equal where there are any. */
function vocabulary(keys: MetadataReader, general: MetadataReader): number {
  const tokens = general.raw("tokenizer.ggml.tokens")
  const counted = Array.isArray(tokens) ? tokens.length : undefined
  const vocab = keys.whole("vocab_size", counted)
  if (counted !== undefined && counted !== vocab) {
    throw keys.refuse(
      "VALUE",
      `tokenizer.ggml.tokens has ${counted} entries; deepseek4.vocab_size says ${vocab}`,
    )
  }
  return vocab
}

/** A number that some converters repeat for every layer. */
function uniform(keys: MetadataReader, key: string, layers: number): number {
  const values = keys.perLayer(key, layers, layers + CONFIG_LIMITS.mtpBlocks)
  const [first = 0] = values
  if (values.some((value) => value !== first))
    throw keys.refuse(
      "UNSUPPORTED",
      `deepseek4.${key} differs between layers; expected the same number everywhere`,
    )
  return first
}

function shapeOf(keys: MetadataReader, layers: number) {
  return {
    hidden: keys.whole("embedding_length"),
    heads: uniform(keys, "attention.head_count", layers),
    headDim: keys.whole("attention.key_length"),
    ropeDim: keys.whole("rope.dimension_count"),
    qLoraRank: keys.whole("attention.q_lora_rank"),
    oGroups: keys.whole("attention.output_group_count"),
    oLoraRank: keys.whole("attention.output_lora_rank"),
    experts: keys.whole("expert_count"),
    expertsPerToken: keys.whole("expert_used_count"),
    moeIntermediateSize: uniform(keys, "expert_feed_forward_length", layers),
    hashLayers: keys.whole("hash_layer_count"),
    slidingWindow: keys.whole("attention.sliding_window"),
    indexHeads: keys.whole("attention.indexer.head_count"),
    indexHeadDim: keys.whole("attention.indexer.key_length"),
    indexTopK: keys.whole("attention.indexer.top_k"),
    streams: keys.whole("hyper_connection.count"),
    sinkhornIterations: keys.whole("hyper_connection.sinkhorn_iterations"),
    contextTokens: keys.whole("context_length"),
  }
}

function constantsOf(keys: MetadataReader, layers: number) {
  const most = layers + CONFIG_LIMITS.mtpBlocks
  const swigluLimit = keys.perLayer("swiglu_clamp_exp", layers, most)
  if (!Array.isArray(keys.raw("attention.compress_ratios"))) {
    throw keys.refuse(
      keys.has("attention.compress_ratios") ? "VALUE" : "MISSING",
      "deepseek4.attention.compress_ratios must be a list with an entry for every layer; it is " +
        "never guessed",
    )
  }
  return {
    normaliseWeights: keys.boolean("expert_weights_norm"),
    normEpsilon: keys.float("attention.layer_norm_rms_epsilon"),
    hcEpsilon: keys.float("hyper_connection.epsilon"),
    ropeTheta: keys.float("rope.freq_base"),
    compressRopeTheta: keys.float("attention.compress_rope_freq_base"),
    yarnFactor: keys.float("rope.scaling.factor"),
    yarnBetaFast: keys.float("rope.scaling.yarn_beta_fast", 32),
    yarnBetaSlow: keys.float("rope.scaling.yarn_beta_slow", 1),
    yarnOriginalTokens: keys.whole("rope.scaling.original_context_length"),
    routedScalingFactor: keys.float("expert_weights_scale"),
    compressRatios: keys.perLayer("attention.compress_ratios", layers, most),
    swigluLimit,
    // Absent in the antirez files; the shared experts then use the routed limit, as every engine
    // but one does.
    sharedSwigluLimit: keys.has("swiglu_clamp_shexp")
      ? keys.perLayer("swiglu_clamp_shexp", layers, most)
      : [...swigluLimit],
  }
}
