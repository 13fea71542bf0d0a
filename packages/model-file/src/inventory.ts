// Which tensors a model of a given configuration has: names, shapes and storage in both containers.
// The readers check files against this list, the writers and the fixtures are made from it, and
// nothing else spells a shape.
import type { ModelConfig } from "./model-config.ts"
import { TENSOR_KINDS, type TensorKind, type TensorKindName } from "./tensor-kinds.ts"
import { TENSOR_TYPES, elementBytes, type TensorTypeName } from "./tensor-types.ts"

/** How a tensor is used, which decides the types that it may have. */
type TensorRole = "matrix" | "expert" | "vector" | "table"

/**
 * How the official release stores a tensor: a plain dtype, FP8 with 128x128 scales or FP4 with
 * groups of 32.
 */
type OfficialStorage = "BF16" | "F32" | "FP8" | "FP4" | "I64"

/** One tensor that a model must have. */
export interface ExpectedTensor {
  readonly kind: TensorKindName
  readonly role: TensorRole
  /** Layer, or -1 for the model level. */
  readonly layer: number
  /** Expert id, or -1: no expert, or all of them stacked. */
  readonly expert: number
  readonly name: string
  /** [depth, rows, cols]: depth counts stacked experts, a vector has one row. */
  readonly depth: number
  readonly rows: number
  readonly cols: number
  readonly official: OfficialStorage
}

export type ContainerFormat = "gguf" | "safetensors"

/** Types that a role may have, per container. */
export const ALLOWED_TYPES: Readonly<
  Record<ContainerFormat, Readonly<Record<TensorRole, readonly TensorTypeName[]>>>
> = {
  gguf: {
    matrix: ["F32", "F16", "BF16", "Q8_0"],
    expert: ["Q2_K", "Q4_K", "IQ2_XXS", "MXFP4", "Q8_0", "F32", "F16", "BF16"],
    vector: ["F32", "F16", "BF16"],
    table: ["I32", "I64"],
  },
  safetensors: {
    matrix: ["F32", "F16", "BF16", "F8_E4M3"],
    expert: ["FP4_PACKED", "F32", "F16", "BF16"],
    vector: ["F32", "F16", "BF16"],
    table: ["I32", "I64"],
  },
}

/**
 * Side of the square blocks that share one FP8 scale, and length of the groups that share one FP4
 * scale.
 */
export const FP8_BLOCK = 128
export const FP4_GROUP = 32

interface KindShape {
  readonly role: TensorRole
  readonly rows: number
  readonly cols: number
  readonly official: OfficialStorage
}
type ShapeOf = (config: ModelConfig, layer: number) => KindShape | undefined

const matrix = (rows: number, cols: number, official: OfficialStorage): KindShape => ({
  role: "matrix",
  rows,
  cols,
  official,
})
const vector = (length: number, official: "BF16" | "F32"): KindShape => ({
  role: "vector",
  rows: 1,
  cols: length,
  official,
})
const ratioOf = (config: ModelConfig, layer: number): number => config.compressRatios[layer] ?? 0
/** A ratio-4 compressor pools two overlapping windows, so its projections are twice as wide. */
const compressorWidth = (config: ModelConfig, layer: number): number =>
  (ratioOf(config, layer) === 4 ? 2 : 1) * config.headDim
const compressed =
  (shape: ShapeOf): ShapeOf =>
  (c, l) =>
    ratioOf(c, l) === 0 ? undefined : shape(c, l)
const indexed =
  (shape: ShapeOf): ShapeOf =>
  (c, l) =>
    ratioOf(c, l) === 4 ? shape(c, l) : undefined
const mixes = (config: ModelConfig): number => (2 + config.streams) * config.streams

const SHAPES: Readonly<Record<TensorKindName, ShapeOf>> = {
  TOKEN_EMBD: (c) => matrix(c.vocab, c.hidden, "BF16"),
  OUTPUT: (c) => matrix(c.vocab, c.hidden, "BF16"),
  OUTPUT_NORM: (c) => vector(c.hidden, "BF16"),
  OUTPUT_HC_FN: (c) => matrix(c.streams, c.streams * c.hidden, "F32"),
  OUTPUT_HC_BASE: (c) => vector(c.streams, "F32"),
  OUTPUT_HC_SCALE: () => vector(1, "F32"),
  HC_ATTN_FN: (c) => matrix(mixes(c), c.streams * c.hidden, "F32"),
  HC_ATTN_BASE: (c) => vector(mixes(c), "F32"),
  HC_ATTN_SCALE: () => vector(3, "F32"),
  HC_FFN_FN: (c) => matrix(mixes(c), c.streams * c.hidden, "F32"),
  HC_FFN_BASE: (c) => vector(mixes(c), "F32"),
  HC_FFN_SCALE: () => vector(3, "F32"),
  ATTN_NORM: (c) => vector(c.hidden, "BF16"),
  FFN_NORM: (c) => vector(c.hidden, "BF16"),
  ATTN_Q_A: (c) => matrix(c.qLoraRank, c.hidden, "FP8"),
  ATTN_Q_A_NORM: (c) => vector(c.qLoraRank, "BF16"),
  ATTN_Q_B: (c) => matrix(c.heads * c.headDim, c.qLoraRank, "FP8"),
  ATTN_KV: (c) => matrix(c.headDim, c.hidden, "FP8"),
  ATTN_KV_A_NORM: (c) => vector(c.headDim, "BF16"),
  ATTN_SINKS: (c) => vector(c.heads, "F32"),
  ATTN_OUTPUT_A: (c) => matrix(c.oGroups * c.oLoraRank, (c.heads / c.oGroups) * c.headDim, "FP8"),
  ATTN_OUTPUT_B: (c) => matrix(c.hidden, c.oGroups * c.oLoraRank, "FP8"),
  COMPRESSOR_KV: compressed((c, l) => matrix(compressorWidth(c, l), c.hidden, "BF16")),
  COMPRESSOR_GATE: compressed((c, l) => matrix(compressorWidth(c, l), c.hidden, "BF16")),
  COMPRESSOR_APE: compressed((c, l) => matrix(ratioOf(c, l), compressorWidth(c, l), "F32")),
  COMPRESSOR_NORM: compressed((c) => vector(c.headDim, "BF16")),
  INDEXER_Q_B: indexed((c) => matrix(c.indexHeads * c.indexHeadDim, c.qLoraRank, "FP8")),
  INDEXER_PROJ: indexed((c) => matrix(c.indexHeads, c.hidden, "BF16")),
  INDEXER_COMPRESSOR_KV: indexed((c) => matrix(2 * c.indexHeadDim, c.hidden, "BF16")),
  INDEXER_COMPRESSOR_GATE: indexed((c) => matrix(2 * c.indexHeadDim, c.hidden, "BF16")),
  INDEXER_COMPRESSOR_APE: indexed((c, l) => matrix(ratioOf(c, l), 2 * c.indexHeadDim, "F32")),
  INDEXER_COMPRESSOR_NORM: indexed((c) => vector(c.indexHeadDim, "BF16")),
  ROUTER: (c) => matrix(c.experts, c.hidden, "BF16"),
  ROUTER_BIAS: (c, l) => (l >= c.hashLayers ? vector(c.experts, "F32") : undefined),
  ROUTER_TABLE: (c, l) =>
    l < c.hashLayers
      ? { role: "table", rows: c.vocab, cols: c.expertsPerToken, official: "I64" }
      : undefined,
  EXPERT_GATE: (c) => ({
    role: "expert",
    rows: c.moeIntermediateSize,
    cols: c.hidden,
    official: "FP4",
  }),
  EXPERT_UP: (c) => ({
    role: "expert",
    rows: c.moeIntermediateSize,
    cols: c.hidden,
    official: "FP4",
  }),
  EXPERT_DOWN: (c) => ({
    role: "expert",
    rows: c.hidden,
    cols: c.moeIntermediateSize,
    official: "FP4",
  }),
  SHARED_GATE: (c) => matrix(c.moeIntermediateSize, c.hidden, "FP8"),
  SHARED_UP: (c) => matrix(c.moeIntermediateSize, c.hidden, "FP8"),
  SHARED_DOWN: (c) => matrix(c.hidden, c.moeIntermediateSize, "FP8"),
}

/** The name of a tensor in a container. `expert` is ignored where the container stacks experts. */
function tensorName(
  format: ContainerFormat,
  kind: TensorKind,
  layer: number,
  expert: number,
): string {
  if (kind.scope === "model") return format === "gguf" ? kind.gguf : kind.official
  if (format === "gguf") return `blk.${layer}.${kind.gguf}`
  return kind.scope === "expert"
    ? `layers.${layer}.ffn.experts.${expert}.${kind.official}`
    : `layers.${layer}.${kind.official}`
}

/**
 * Every tensor of the trunk, model level first, then layer by layer, in the order of TENSOR_KINDS.
 */
export function* expectedTensors(
  config: ModelConfig,
  format: ContainerFormat,
): Generator<ExpectedTensor> {
  for (const kind of TENSOR_KINDS) {
    if (kind.scope === "model") yield* instances(config, format, kind, -1)
  }
  for (let layer = 0; layer < config.layers; layer++) {
    for (const kind of TENSOR_KINDS) {
      if (kind.scope !== "model") yield* instances(config, format, kind, layer)
    }
  }
}

function* instances(
  config: ModelConfig,
  format: ContainerFormat,
  kind: (typeof TENSOR_KINDS)[number],
  layer: number,
): Generator<ExpectedTensor> {
  const shape = SHAPES[kind.name](config, layer)
  if (shape === undefined) return
  const one = (expert: number, depth: number): ExpectedTensor => ({
    kind: kind.name,
    ...shape,
    layer,
    expert,
    depth,
    name: tensorName(format, kind, layer, expert),
  })
  if (shape.role !== "expert") yield one(-1, 1)
  else if (format === "gguf") yield one(-1, config.experts)
  else for (let expert = 0; expert < config.experts; expert++) yield one(expert, 1)
}

/** A tensor as it lies in a safetensors file: companion scales are tensors of their own there. */
export interface StoredSafetensor {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  readonly bytes: number
}

const OFFICIAL_BYTES = { BF16: 2, F32: 4, I64: 8 } as const
const ceilDivide = (value: number, by: number): number => Math.ceil(value / by)

/** The name of the scales of an FP8 or FP4 weight: its last component replaced. */
export const scaleName = (name: string): string => name.replace(/weight$/, "scale")

/** The one or two tensors in which the official release stores an expected tensor. */
export function officialStorage(tensor: ExpectedTensor): StoredSafetensor[] {
  const { name, rows, cols, official } = tensor
  const scale = (shape: number[]): StoredSafetensor => ({
    name: scaleName(name),
    dtype: "F8_E8M0",
    shape,
    bytes: shape.reduce((a, b) => a * b, 1),
  })
  if (official === "FP8") {
    return [
      { name, dtype: "F8_E4M3", shape: [rows, cols], bytes: rows * cols },
      scale([ceilDivide(rows, FP8_BLOCK), ceilDivide(cols, FP8_BLOCK)]),
    ]
  }
  if (official === "FP4") {
    return [
      { name, dtype: "I8", shape: [rows, cols / 2], bytes: (rows * cols) / 2 },
      scale([rows, ceilDivide(cols, FP4_GROUP)]),
    ]
  }
  const shape = tensor.role === "vector" ? [cols] : [rows, cols]
  return [{ name, dtype: official, shape, bytes: rows * cols * OFFICIAL_BYTES[official] }]
}

/** Every tensor of the official trunk with its storage, scales included. */
export function* officialInventory(config: ModelConfig): Generator<StoredSafetensor> {
  for (const tensor of expectedTensors(config, "safetensors")) yield* officialStorage(tensor)
}

/**
 * The tensors of one multi-token-prediction block of the official release. It is a layer without
 * compression and with a router bias, two projections, three norms and its own stream mixer. We
 * read none of them; the published totals count them.
 */
export function* officialMtpInventory(
  config: ModelConfig,
  block: number,
): Generator<StoredSafetensor> {
  const single: ModelConfig = { ...config, layers: 1, hashLayers: 0, compressRatios: [0] }
  for (const tensor of expectedTensors(single, "safetensors")) {
    if (tensor.layer === 0)
      yield* officialStorage({
        ...tensor,
        name: tensor.name.replace(/^layers\.0\./, `mtp.${block}.`),
      })
  }
  const own = (
    name: string,
    rows: number,
    cols: number,
    official: OfficialStorage,
  ): ExpectedTensor => ({
    kind: "ATTN_Q_A",
    role: rows === 1 ? "vector" : "matrix",
    layer: -1,
    expert: -1,
    name: `mtp.${block}.${name}`,
    depth: 1,
    rows,
    cols,
    official,
  })
  const { hidden, streams } = config
  for (const name of ["e_proj.weight", "h_proj.weight"])
    yield* officialStorage(own(name, hidden, hidden, "FP8"))
  for (const name of ["enorm.weight", "hnorm.weight", "norm.weight"])
    yield* officialStorage(own(name, 1, hidden, "BF16"))
  yield* officialStorage({ ...own("hc_head_fn", streams, streams * hidden, "F32"), role: "matrix" })
  yield* officialStorage(own("hc_head_base", 1, streams, "F32"))
  yield* officialStorage(own("hc_head_scale", 1, 1, "F32"))
}

/** Bytes of a tensor stored as `type`, or undefined if its rows do not fill whole blocks. */
export function storedBytes(tensor: ExpectedTensor, type: TensorTypeName): number | undefined {
  const rowBytes = elementBytes(TENSOR_TYPES[type], tensor.cols)
  return rowBytes === undefined ? undefined : rowBytes * tensor.rows * tensor.depth
}
