// Describes a model as plain data, as `ds4 inspect` shows it.
import type { ModelConfig } from "./model-config.ts"
import type { ModelFile } from "./model-file.ts"
import { publishedName } from "./published-configs.ts"
import type { TensorKindName } from "./tensor-kinds.ts"
import type { TensorEntry } from "./tensor-table.ts"
import { tensorTypeName } from "./tensor-types.ts"

/** Groups in which sizes are reported, in the order of a forward pass. */
const TENSOR_GROUPS = [
  "embedding",
  "attention",
  "compressor",
  "indexer",
  "hyper-connections",
  "router",
  "routed experts",
  "shared experts",
  "norms",
  "head",
] as const
type TensorGroup = (typeof TENSOR_GROUPS)[number]

export interface ModelDescription {
  readonly name: string
  /** The published model that it has the shape of, if any. */
  readonly published: string | undefined
  readonly path: string
  readonly format: string
  readonly files: { path: string; bytes: number }[]
  readonly fileBytes: number
  /** Weights with their scales, without headers and padding. */
  readonly tensorBytes: number
  readonly tensorCount: number
  /** Weights, counting each packed value once. */
  readonly parameters: number
  /**
   * Parameters that one token uses: everything but the experts that are not chosen and the other
   * embedding rows.
   */
  readonly activeParameters: number
  readonly groups: {
    group: TensorGroup
    tensors: number
    bytes: number
    types: Record<string, number>
  }[]
  /** Bytes by storage type, scales counted with their weights. */
  readonly types: { type: string; tensors: number; bytes: number }[]
  readonly config: ModelConfig
  readonly ignoredTensors: string[]
  readonly warnings: string[]
  readonly hasVocabulary: boolean
}

/** The group of a role. */
function groupOf(kind: TensorKindName): TensorGroup {
  if (kind === "TOKEN_EMBD") return "embedding"
  if (kind === "OUTPUT") return "head"
  if (kind.includes("HC_")) return "hyper-connections"
  if (kind.startsWith("INDEXER_")) return "indexer"
  if (kind.startsWith("COMPRESSOR_")) return "compressor"
  if (kind.startsWith("ROUTER")) return "router"
  if (kind.startsWith("EXPERT_")) return "routed experts"
  if (kind.startsWith("SHARED_")) return "shared experts"
  return kind.endsWith("_NORM") ? "norms" : "attention"
}

const bytesOf = (tensor: TensorEntry): number => tensor.bytes + tensor.scaleBytes
const valuesOf = (tensor: TensorEntry): number => tensor.depth * tensor.rows * tensor.cols

function activeValues(tensor: TensorEntry, config: ModelConfig): number {
  if (tensor.kind === "ROUTER_TABLE") return 0
  if (tensor.kind === "TOKEN_EMBD") return tensor.cols
  return tensor.kind.startsWith("EXPERT_")
    ? (valuesOf(tensor) * config.expertsPerToken) / config.experts
    : valuesOf(tensor)
}

const sum = (tensors: readonly TensorEntry[], value: (tensor: TensorEntry) => number): number =>
  tensors.reduce((total, tensor) => total + value(tensor), 0)

function groupsOf(all: readonly TensorEntry[]): ModelDescription["groups"] {
  const byGroup = Map.groupBy(all, (tensor) => groupOf(tensor.kind))
  return TENSOR_GROUPS.flatMap((group) => {
    const tensors = byGroup.get(group) ?? []
    if (tensors.length === 0) return []
    const byType = Map.groupBy(tensors, (tensor) => tensorTypeName(tensor.type))
    const types = Object.fromEntries([...byType].map(([type, each]) => [type, each.length]))
    return [{ group, tensors: tensors.length, bytes: sum(tensors, bytesOf), types }]
  })
}

/** Sizes by group and type, totals and what was left out. */
export function describeModelFile(file: ModelFile): ModelDescription {
  const byType = Map.groupBy(file.tensors, (tensor) => tensorTypeName(tensor.type))
  return {
    name: file.config.name,
    published: publishedName(file.config),
    path: file.path,
    format: file.format,
    files: file.files,
    fileBytes: file.files.reduce((total, { bytes }) => total + bytes, 0),
    tensorBytes: sum(file.tensors, bytesOf),
    tensorCount: file.tensors.length,
    parameters: sum(
      file.tensors.filter((tensor) => tensor.kind !== "ROUTER_TABLE"),
      valuesOf,
    ),
    activeParameters: sum(file.tensors, (tensor) => activeValues(tensor, file.config)),
    groups: groupsOf(file.tensors),
    types: [...byType]
      .map(([type, tensors]) => ({ type, tensors: tensors.length, bytes: sum(tensors, bytesOf) }))
      .sort((a, b) => b.bytes - a.bytes),
    config: file.config,
    ignoredTensors: file.ignoredTensors,
    warnings: file.warnings,
    hasVocabulary: file.tokenizer !== undefined,
  }
}
