// ModelConfig from the config.json of an official checkpoint folder.
import { FP8_BLOCK } from "../inventory.ts"
import { CONFIG_LIMITS } from "../limits.ts"
import { MetadataReader } from "../metadata-reader.ts"
import { checkModelConfig, type ModelConfig } from "../model-config.ts"

/**
 * @param values the top-level keys of config.json
 * @throws ModelFileError MISSING, VALUE or UNSUPPORTED, naming the key
 */
export function configFromJson(
  values: ReadonlyMap<string, unknown>,
  path: string,
  name: string,
): ModelConfig {
  const keys = new MetadataReader(values, path)
  refuseOtherFamilies(keys)
  const layers = keys.whole("num_hidden_layers")
  if (layers < 1 || layers > CONFIG_LIMITS.layers)
    throw keys.refuse(
      "VALUE",
      `num_hidden_layers is ${layers}; expected 1 to ${CONFIG_LIMITS.layers}`,
    )
  const config: ModelConfig = {
    name,
    layers,
    ...shapeOf(keys),
    ...constantsOf(keys, layers),
    bosTokenId: keys.tokenId("bos_token_id"),
    eosTokenId: keys.tokenId("eos_token_id"),
    mtpBlocks: keys.whole("num_nextn_predict_layers", 0),
  }
  checkModelConfig(config, path)
  return config
}

function refuseOtherFamilies(keys: MetadataReader): void {
  keys.only("model_type", "deepseek_v4")
  keys.only("scoring_func", "sqrtsoftplus")
  keys.only("hidden_act", "silu")
  keys.only("tie_word_embeddings", false)
  keys.only("n_shared_experts", 1)
  keys.only("num_key_value_heads", 1)
  const quantization = keys.nested("quantization_config")
  if (quantization === undefined) return
  quantization.only("quant_method", "fp8")
  quantization.only("scale_fmt", "ue8m0")
  const block = quantization.raw("weight_block_size")
  if (block !== undefined && JSON.stringify(block) !== JSON.stringify([FP8_BLOCK, FP8_BLOCK])) {
    throw keys.refuse(
      "UNSUPPORTED",
      `quantization_config.weight_block_size is ${JSON.stringify(block)}; only [${FP8_BLOCK}, ` +
        `${FP8_BLOCK}] is supported`,
    )
  }
}

function shapeOf(keys: MetadataReader) {
  return {
    hidden: keys.whole("hidden_size"),
    vocab: keys.whole("vocab_size"),
    heads: keys.whole("num_attention_heads"),
    headDim: keys.whole("head_dim"),
    ropeDim: keys.whole("qk_rope_head_dim"),
    qLoraRank: keys.whole("q_lora_rank"),
    oGroups: keys.whole("o_groups"),
    oLoraRank: keys.whole("o_lora_rank"),
    experts: keys.whole("n_routed_experts"),
    expertsPerToken: keys.whole("num_experts_per_tok"),
    moeIntermediateSize: keys.whole("moe_intermediate_size"),
    hashLayers: keys.whole("num_hash_layers"),
    slidingWindow: keys.whole("sliding_window"),
    indexHeads: keys.whole("index_n_heads"),
    indexHeadDim: keys.whole("index_head_dim"),
    indexTopK: keys.whole("index_topk"),
    streams: keys.whole("hc_mult"),
    sinkhornIterations: keys.whole("hc_sinkhorn_iters"),
    contextTokens: keys.whole("max_position_embeddings"),
  }
}

function constantsOf(keys: MetadataReader, layers: number) {
  if (!Array.isArray(keys.raw("compress_ratios"))) {
    throw keys.refuse(
      keys.has("compress_ratios") ? "VALUE" : "MISSING",
      "compress_ratios must be a list with an entry for every layer; it is never guessed",
    )
  }
  const swiglu = keys.float("swiglu_limit")
  const swigluLimit = Array.from({ length: layers }, () => swiglu)
  return {
    normaliseWeights: keys.boolean("norm_topk_prob"),
    normEpsilon: keys.float("rms_norm_eps"),
    hcEpsilon: keys.float("hc_eps"),
    ...ropeOf(keys),
    routedScalingFactor: keys.float("routed_scaling_factor"),
    compressRatios: keys.perLayer("compress_ratios", layers, layers + CONFIG_LIMITS.mtpBlocks),
    swigluLimit,
    sharedSwigluLimit: [...swigluLimit],
  }
}

/**
 * The release nests YaRN in rope_scaling; newer exports put it, by layer kind, in rope_parameters.
 */
function ropeOf(keys: MetadataReader) {
  const parameters = keys.nested("rope_parameters")
  const main = parameters?.nested("main") ?? parameters
  const compress = parameters?.nested("compress") ?? parameters
  const scaling = keys.nested("rope_scaling") ?? compress
  if (scaling === undefined)
    throw keys.refuse(
      "MISSING",
      "rope_scaling is missing; expected the YaRN factor and original length there",
    )
  scaling.only("type", "yarn")
  scaling.only("rope_type", "yarn")
  return {
    ropeTheta:
      keys.has("rope_theta") || main === undefined
        ? keys.float("rope_theta")
        : main.float("rope_theta"),
    compressRopeTheta:
      keys.has("compress_rope_theta") || compress === undefined
        ? keys.float("compress_rope_theta")
        : compress.float("rope_theta"),
    yarnFactor: scaling.float("factor"),
    yarnBetaFast: scaling.float("beta_fast", 32),
    yarnBetaSlow: scaling.float("beta_slow", 1),
    yarnOriginalTokens: scaling.whole("original_max_position_embeddings"),
  }
}
