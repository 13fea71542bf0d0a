// Which type each tensor gets. Vectors are always F32 and routing tables I32: they are small, and
// every reader of the format expects that.
import type { ExpectedTensor, GgufDialect, TensorTypeName } from "@ds4/model-file"

type DenseType = "F32" | "F16" | "BF16" | "Q8_0"
type ExpertType = DenseType | "MXFP4"

/** Target types by what the official release stores. */
export interface Recipe {
  readonly embedding: DenseType
  readonly head: DenseType
  /** Matrices released as FP8: attention projections and shared experts. */
  readonly projections: DenseType
  /** The indexer's query projection, FP8 too, which some files keep wider. */
  readonly indexerQueries: DenseType
  /** Matrices released as BF16: router, compressors, indexer weights. */
  readonly small: DenseType
  /** Matrices released as F32: stream mixers and position tables of compressors. */
  readonly mixers: DenseType
  readonly experts: ExpertType
  readonly dialect: GgufDialect
}

const everything = (type: DenseType): Recipe => ({
  embedding: type,
  head: type,
  projections: type,
  indexerQueries: type,
  small: type,
  mixers: type,
  experts: type,
  dialect: "mainline",
})

/**
 * `mainline`: what llama.cpp's converter makes. `antirez`: the dense types and keys of the antirez
 * files. `lossless`: FP8 and FP4 values are exact in BF16 and MXFP4. `q8`: as small as it gets
 * without imatrix data.
 */
export const RECIPES = {
  mainline: {
    embedding: "BF16",
    head: "BF16",
    projections: "Q8_0",
    indexerQueries: "Q8_0",
    small: "BF16",
    mixers: "F32",
    experts: "MXFP4",
    dialect: "mainline",
  },
  antirez: {
    embedding: "F16",
    head: "Q8_0",
    projections: "Q8_0",
    indexerQueries: "F16",
    small: "F16",
    mixers: "F16",
    experts: "MXFP4",
    dialect: "antirez",
  },
  lossless: {
    embedding: "BF16",
    head: "BF16",
    projections: "BF16",
    indexerQueries: "BF16",
    small: "BF16",
    mixers: "F32",
    experts: "MXFP4",
    dialect: "mainline",
  },
  q8: {
    embedding: "Q8_0",
    head: "Q8_0",
    projections: "Q8_0",
    indexerQueries: "Q8_0",
    small: "BF16",
    mixers: "F32",
    experts: "Q8_0",
    dialect: "mainline",
  },
  f32: everything("F32"),
  f16: everything("F16"),
  bf16: { ...everything("BF16"), mixers: "F32" },
} as const satisfies Record<string, Recipe>

export type RecipeName = keyof typeof RECIPES

/** llama.cpp's number for a file of mostly this type. */
export const FILE_TYPES: Readonly<Record<ExpertType, number>> = {
  F32: 0,
  F16: 1,
  Q8_0: 7,
  BF16: 32,
  MXFP4: 38,
}

/** The type that a recipe gives a tensor. */
export function targetType(tensor: ExpectedTensor, recipe: Recipe): TensorTypeName {
  if (tensor.role === "table") return "I32"
  if (tensor.role === "vector") return "F32"
  if (tensor.role === "expert") return recipe.experts
  if (tensor.kind === "TOKEN_EMBD") return recipe.embedding
  if (tensor.kind === "OUTPUT") return recipe.head
  if (tensor.kind === "INDEXER_Q_B") return recipe.indexerQueries
  if (tensor.official === "FP8") return recipe.projections
  return tensor.official === "F32" ? recipe.mixers : recipe.small
}
