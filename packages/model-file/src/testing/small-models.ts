// Complete models of a few hundred kilobytes, made from the inventory. All values are zero, which
// is legal for every type, so that each test changes exactly the thing that it is about.
import { metadataFromConfig, type GgufDialect } from "../gguf/config-writer.ts"
import type { GgufValue } from "../gguf/metadata.ts"
import { layoutGguf, type GgufTensorPlan } from "../gguf/writer.ts"
import { expectedTensors, officialInventory, type ExpectedTensor } from "../inventory.ts"
import type { ModelConfig } from "../model-config.ts"
import { FLASH_CONFIG } from "../published-configs.ts"
import { officialConfigJson } from "../safetensors/config-writer.ts"
import { DTYPE_BYTES, type SafetensorsDtype } from "../safetensors/header.ts"
import { layoutSafetensors, type SafetensorsPlan } from "../safetensors/writer.ts"
import { TENSOR_TYPES, type TensorTypeName } from "../tensor-types.ts"
import type { MemoryFile } from "./memory-files.ts"
import { utf8 } from "./memory-files.ts"

/** One layer of each compression ratio; the first routes by token id. */
export const SMALL_CONFIG: ModelConfig = {
  ...FLASH_CONFIG,
  name: "small",
  layers: 3,
  hidden: 256,
  vocab: 32,
  heads: 2,
  headDim: 128,
  qLoraRank: 128,
  oGroups: 2,
  oLoraRank: 64,
  experts: 4,
  expertsPerToken: 2,
  moeIntermediateSize: 256,
  hashLayers: 1,
  slidingWindow: 16,
  indexHeads: 2,
  indexHeadDim: 64,
  indexTopK: 4,
  contextTokens: 1024,
  compressRatios: [0, 4, 128],
  swigluLimit: [10, 10, 10],
  sharedSwigluLimit: [10, 10, 10],
  mtpBlocks: 0,
}

export const defaultType = (tensor: ExpectedTensor): TensorTypeName =>
  tensor.role === "table"
    ? "I32"
    : tensor.role === "vector"
      ? "F32"
      : tensor.role === "expert"
        ? "MXFP4"
        : "BF16"

const ggufPlanTensor = (tensor: ExpectedTensor, type: TensorTypeName): GgufTensorPlan => ({
  name: tensor.name,
  type: TENSOR_TYPES[type],
  shape:
    tensor.role === "vector"
      ? [tensor.cols]
      : tensor.role === "expert"
        ? [tensor.depth, tensor.rows, tensor.cols]
        : [tensor.rows, tensor.cols],
})

export interface GgufModel {
  metadata: Map<string, GgufValue>
  tensors: GgufTensorPlan[]
}

/** Metadata and directory of a GGUF model, to be changed by a test before `ggufBytes`. */
export function ggufModel(
  config: ModelConfig = SMALL_CONFIG,
  typeOf = defaultType,
  dialect: GgufDialect = "mainline",
): GgufModel {
  return {
    metadata: metadataFromConfig(config, { dialect, fileType: 0 }),
    tensors: [...expectedTensors(config, "gguf")].map((tensor) =>
      ggufPlanTensor(tensor, typeOf(tensor)),
    ),
  }
}

/** The file with its data all zero, and where each tensor lies. */
export function ggufFile(
  model: GgufModel,
): MemoryFile & { readonly offsetOf: (name: string) => number } {
  const { header, places, fileBytes } = layoutGguf(model)
  return {
    head: header,
    bytes: fileBytes,
    offsetOf(name) {
      const place = places[model.tensors.findIndex((tensor) => tensor.name === name)]
      if (place === undefined) throw new Error(`no tensor ${name}`)
      return place.offset
    },
  }
}

/** The whole file as bytes, for files that are small. */
export function whole(file: MemoryFile): Uint8Array {
  const bytes = new Uint8Array(file.bytes)
  bytes.set(file.head)
  return bytes
}

export interface Checkpoint {
  config: Record<string, unknown>
  shards: { name: string; tensors: SafetensorsPlan[] }[]
}

const asDtype = (dtype: string): SafetensorsDtype => {
  if (Object.hasOwn(DTYPE_BYTES, dtype)) return dtype as SafetensorsDtype // checked on this line
  throw new Error(`unknown dtype ${dtype}`)
}

/**
 * An official checkpoint in `shardCount` shards, to be changed by a test before `checkpointFiles`.
 */
export function checkpoint(config: ModelConfig = SMALL_CONFIG, shardCount = 2): Checkpoint {
  const all = [...officialInventory(config)].map(({ name, dtype, shape }) => ({
    name,
    dtype: asDtype(dtype),
    shape,
  }))
  const perShard = Math.ceil(all.length / shardCount)
  return {
    config: officialConfigJson(config),
    shards: Array.from({ length: shardCount }, (_, shard) => ({
      name: `model-${shard + 1}.safetensors`,
      tensors: all.slice(shard * perShard, (shard + 1) * perShard),
    })),
  }
}

/** The files of a checkpoint folder, data all zero. */
export function checkpointFiles(
  model: Checkpoint,
  folder: string,
): Map<string, Uint8Array | MemoryFile> {
  const files = new Map<string, Uint8Array | MemoryFile>()
  const weightMap: Record<string, string> = {}
  for (const { name, tensors } of model.shards) {
    const { header, fileBytes } = layoutSafetensors(tensors)
    files.set(`${folder}/${name}`, { head: header, bytes: fileBytes })
    for (const tensor of tensors) weightMap[tensor.name] = name
  }
  files.set(`${folder}/config.json`, utf8(JSON.stringify(model.config)))
  files.set(
    `${folder}/model.safetensors.index.json`,
    utf8(JSON.stringify({ weight_map: weightMap })),
  )
  return files
}
