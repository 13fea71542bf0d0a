// The configurations of the published models. They tell which model a file is, and fixtures of real
// size are made from them. Reading a file derives nothing from them.
import type { ModelConfig } from "./model-config.ts"

/** Layers 0 and 1 as given, then 4 and 128 in turn, starting with 4. */
const ratios = (first: number, layers: number): number[] =>
  Array.from({ length: layers }, (_, layer) => (layer < 2 ? first : layer % 2 === 0 ? 4 : 128))

const clamps = (layers: number): number[] => Array.from({ length: layers }, () => 10)
const f32 = Math.fround

export const FLASH_CONFIG: ModelConfig = {
  name: "DeepSeek-V4-Flash",
  layers: 43,
  hidden: 4096,
  vocab: 129280,
  heads: 64,
  headDim: 512,
  ropeDim: 64,
  qLoraRank: 1024,
  oGroups: 8,
  oLoraRank: 1024,
  experts: 256,
  expertsPerToken: 6,
  moeIntermediateSize: 2048,
  hashLayers: 3,
  slidingWindow: 128,
  indexHeads: 64,
  indexHeadDim: 128,
  indexTopK: 512,
  streams: 4,
  sinkhornIterations: 20,
  contextTokens: 1048576,
  normaliseWeights: true,
  normEpsilon: f32(1e-6),
  hcEpsilon: f32(1e-6),
  ropeTheta: 10000,
  compressRopeTheta: 160000,
  yarnFactor: 16,
  yarnBetaFast: 32,
  yarnBetaSlow: 1,
  yarnOriginalTokens: 65536,
  routedScalingFactor: 1.5,
  compressRatios: ratios(0, 43),
  swigluLimit: clamps(43),
  sharedSwigluLimit: clamps(43),
  bosTokenId: 0,
  eosTokenId: 1,
  mtpBlocks: 1,
}

export const PRO_CONFIG: ModelConfig = {
  ...FLASH_CONFIG,
  name: "DeepSeek-V4-Pro",
  layers: 61,
  hidden: 7168,
  heads: 128,
  qLoraRank: 1536,
  oGroups: 16,
  experts: 384,
  moeIntermediateSize: 3072,
  indexTopK: 1024,
  routedScalingFactor: 2.5,
  compressRatios: ratios(128, 61),
  swigluLimit: clamps(61),
  sharedSwigluLimit: clamps(61),
}

/** Fields in which conversions and revisions of one model differ. */
const IGNORED_FIELDS: ReadonlySet<string> = new Set([
  "name",
  "mtpBlocks",
  "swigluLimit",
  "sharedSwigluLimit",
  "contextTokens",
])

const fieldsOf = (config: ModelConfig): [string, string][] =>
  Object.entries(config).flatMap(([field, value]) =>
    IGNORED_FIELDS.has(field) ? [] : [[field, String(value)]],
  )

/** The published model whose shape and constants these are, by name, or undefined. */
export function publishedName(config: ModelConfig): string | undefined {
  const stated = new Map(fieldsOf(config))
  return [FLASH_CONFIG, PRO_CONFIG].find((published) =>
    fieldsOf(published).every(([field, value]) => stated.get(field) === value),
  )?.name
}
