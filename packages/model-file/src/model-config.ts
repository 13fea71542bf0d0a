// The configuration of a network, under one set of names for both containers. Both readers fill it
// and checkModelConfig bounds it. Code behind it does not know the container.
import { CONFIG_LIMITS } from "./limits.ts"
import { ModelFileError } from "./model-file-error.ts"

/**
 * Shape and constants of one model. Float values are rounded to float32, as the engine uses them.
 */
export interface ModelConfig {
  name: string
  layers: number
  hidden: number
  vocab: number
  heads: number
  headDim: number
  /** Rotary channels: the last of each head. */
  ropeDim: number
  qLoraRank: number
  oGroups: number
  oLoraRank: number
  experts: number
  expertsPerToken: number
  moeIntermediateSize: number
  /** Leading layers routed by token id. */
  hashLayers: number
  /** Sliding window in tokens, the current one included. */
  slidingWindow: number
  indexHeads: number
  indexHeadDim: number
  indexTopK: number
  /** Hyper-connection streams. */
  streams: number
  sinkhornIterations: number
  contextTokens: number
  normaliseWeights: boolean
  normEpsilon: number
  hcEpsilon: number
  ropeTheta: number
  compressRopeTheta: number
  yarnFactor: number
  yarnBetaFast: number
  yarnBetaSlow: number
  yarnOriginalTokens: number
  routedScalingFactor: number
  /** One entry a layer: 0, 4 or 128. */
  compressRatios: number[]
  /** One entry a layer; 0 or less: no clamp. */
  swigluLimit: number[]
  sharedSwigluLimit: number[]
  bosTokenId: number
  eosTokenId: number
  /** Blocks of multi-token prediction that the file announces. They are not loaded. */
  mtpBlocks: number
}

type NumberField = {
  [K in keyof ModelConfig]: ModelConfig[K] extends number ? K : never
}[keyof ModelConfig]

/** Smallest and largest legal value of the whole-number fields. */
const WHOLE_NUMBERS: readonly (readonly [NumberField, number, number])[] = [
  ["layers", 1, CONFIG_LIMITS.layers],
  ["hidden", 1, CONFIG_LIMITS.hidden],
  ["vocab", 1, CONFIG_LIMITS.vocab],
  ["heads", 1, CONFIG_LIMITS.heads],
  ["headDim", 1, CONFIG_LIMITS.headDim],
  ["ropeDim", 2, CONFIG_LIMITS.headDim],
  ["qLoraRank", 1, CONFIG_LIMITS.qLoraRank],
  ["oGroups", 1, CONFIG_LIMITS.oGroups],
  ["oLoraRank", 1, CONFIG_LIMITS.oLoraRank],
  ["experts", 1, CONFIG_LIMITS.experts],
  ["expertsPerToken", 1, CONFIG_LIMITS.experts],
  ["moeIntermediateSize", 1, CONFIG_LIMITS.moeIntermediateSize],
  ["hashLayers", 0, CONFIG_LIMITS.layers],
  ["slidingWindow", 1, CONFIG_LIMITS.slidingWindow],
  ["indexHeads", 1, CONFIG_LIMITS.indexHeads],
  ["indexHeadDim", 1, CONFIG_LIMITS.indexHeadDim],
  ["indexTopK", 1, CONFIG_LIMITS.indexTopK],
  ["streams", 1, CONFIG_LIMITS.streams],
  ["sinkhornIterations", 0, CONFIG_LIMITS.sinkhornIterations],
  ["contextTokens", 1, CONFIG_LIMITS.contextTokens],
  ["yarnOriginalTokens", 1, CONFIG_LIMITS.contextTokens],
  ["bosTokenId", 0, CONFIG_LIMITS.vocab],
  ["eosTokenId", 0, CONFIG_LIMITS.vocab],
  ["mtpBlocks", 0, CONFIG_LIMITS.mtpBlocks],
]
const POSITIVE: readonly NumberField[] = [
  "normEpsilon",
  "hcEpsilon",
  "ropeTheta",
  "compressRopeTheta",
  "yarnFactor",
  "yarnBetaFast",
  "yarnBetaSlow",
  "routedScalingFactor",
]
const COMPRESS_RATIOS: ReadonlySet<number> = new Set([0, 4, 128])

/**
 * Throws ModelFileError VALUE or UNSUPPORTED when a number is outside its limits or contradicts
 * another.
 */
export function checkModelConfig(config: ModelConfig, path: string): void {
  const refuse = (message: string): never => {
    throw new ModelFileError("VALUE", message, { path })
  }
  for (const [field, low, high] of WHOLE_NUMBERS) {
    const value = config[field]
    if (!Number.isInteger(value) || value < low || value > high)
      refuse(`${field} is ${value}; expected a whole number from ${low} to ${high}`)
  }
  for (const field of POSITIVE) {
    if (!(config[field] > 0 && Number.isFinite(config[field])))
      refuse(`${field} is ${config[field]}; expected a positive number`)
  }
  checkRelations(config, refuse)
  for (const field of ["compressRatios", "swigluLimit", "sharedSwigluLimit"] as const) {
    if (config[field].length !== config.layers)
      refuse(
        `${field} has ${config[field].length} entries; expected one for each of ` +
          `${config.layers} layers`,
      )
  }
  config.compressRatios.forEach((ratio, layer) => {
    if (!COMPRESS_RATIOS.has(ratio))
      refuse(`compression ratio of layer ${layer} is ${ratio}; expected 0, 4 or 128`)
  })
  for (const limit of [...config.swigluLimit, ...config.sharedSwigluLimit]) {
    if (!Number.isFinite(limit)) refuse(`a SwiGLU limit is ${limit}; expected a number`)
  }
}

function checkRelations(config: ModelConfig, refuse: (message: string) => never): void {
  const { heads, oGroups, headDim, ropeDim, experts, expertsPerToken, layers, hashLayers, vocab } =
    config
  if (ropeDim % 2 !== 0 || ropeDim > headDim)
    refuse(`ropeDim is ${ropeDim}; expected an even number up to headDim ${headDim}`)
  if (heads % oGroups !== 0) refuse(`heads ${heads} is not a multiple of oGroups ${oGroups}`)
  if (expertsPerToken > experts)
    refuse(`expertsPerToken is ${expertsPerToken}, more than the ${experts} experts`)
  if (hashLayers > layers) refuse(`hashLayers is ${hashLayers}, more than the ${layers} layers`)
  if (layers * experts > CONFIG_LIMITS.expertsInAll)
    refuse(
      `${layers} layers of ${experts} experts exceed the limit of ${CONFIG_LIMITS.expertsInAll} ` +
        `experts in all`,
    )
  if (config.bosTokenId >= vocab)
    refuse(`bosTokenId is ${config.bosTokenId}, outside the vocabulary of ${vocab}`)
  if (config.eosTokenId >= vocab)
    refuse(`eosTokenId is ${config.eosTokenId}, outside the vocabulary of ${vocab}`)
}
