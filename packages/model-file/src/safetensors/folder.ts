// A checkpoint folder: config.json, model.safetensors.index.json with its shards or one
// model.safetensors, and perhaps a tokenizer.json.
import { join } from "node:path"
import type { FileAccess } from "../byte-source.ts"
import { folderAdvice } from "../folder-advice.ts"
import { MAX_FILES, MAX_JSON_BYTES } from "../limits.ts"
import { ModelFileError } from "../model-file-error.ts"
import type { StoredTensor } from "../stored-tensor.ts"
import { TENSOR_TYPES, type TensorType } from "../tensor-types.ts"
import { readSafetensorsHeader, type SafetensorsDtype, type SafetensorsEntry } from "./header.ts"
import { isObject, readJsonObject } from "./json.ts"

interface SafetensorsFolder {
  readonly files: { path: string; bytes: number }[]
  readonly tensors: StoredTensor[]
  readonly config: ReadonlyMap<string, unknown>
  readonly configPath: string
  readonly warnings: string[]
}

const INDEX = "model.safetensors.index.json"
const SINGLE = "model.safetensors"
/** A shard's name must be a plain file name: an index must not lead out of its folder. */
const SHARD_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors$/

/** Bytes that hold two FP4 values; whether a tensor is one is decided by its role. */
const TYPES: Readonly<Partial<Record<SafetensorsDtype, TensorType>>> = {
  BF16: TENSOR_TYPES.BF16,
  F16: TENSOR_TYPES.F16,
  F32: TENSOR_TYPES.F32,
  F8_E4M3: TENSOR_TYPES.F8_E4M3,
  F8_E8M0: TENSOR_TYPES.F8_E8M0,
  I8: TENSOR_TYPES.FP4_PACKED,
  U8: TENSOR_TYPES.FP4_PACKED,
  I32: TENSOR_TYPES.I32,
  I64: TENSOR_TYPES.I64,
}

/** Reads config.json, the index and every shard's header. */
export async function readSafetensorsFolder(
  access: FileAccess,
  folder: string,
): Promise<SafetensorsFolder> {
  const configPath = join(folder, "config.json")
  if ((await access.kind(configPath)) !== "file")
    throw new ModelFileError("MISSING", await folderAdvice(access, folder, "config.json"), {
      path: folder,
    })
  const config = await readJsonObject(await access.open(configPath), MAX_JSON_BYTES)
  const index = await readIndex(access, folder)
  const shards = index === undefined ? [SINGLE] : [...new Set(index.shardOf.values())].sort()
  if (shards.length > MAX_FILES)
    throw new ModelFileError("RANGE", `names ${shards.length} shards; the limit is ${MAX_FILES}`, {
      path: join(folder, INDEX),
    })
  const files: { path: string; bytes: number }[] = []
  const tensors: StoredTensor[] = []
  for (const shard of shards) {
    const path = join(folder, shard)
    if ((await access.kind(path)) !== "file") {
      throw new ModelFileError(
        "MISSING",
        index === undefined
          ? await folderAdvice(access, folder, `${INDEX} and no ${SINGLE}`)
          : `shard ${shard} of the index is missing`,
        { path: folder },
      )
    }
    const source = await access.open(path)
    const header = await readSafetensorsHeader(source)
    if (index !== undefined) checkAgainstIndex(header.entries, index.shardOf, shard, path)
    tensors.push(...header.entries.map((entry) => storedTensor(entry, files.length, path)))
    files.push({ path, bytes: source.bytes })
  }
  checkComplete(tensors, index?.shardOf, folder)
  return { files, tensors, config, configPath, warnings: sizeWarnings(tensors, index?.totalBytes) }
}

interface ShardIndex {
  readonly shardOf: ReadonlyMap<string, string>
  readonly totalBytes: number | undefined
}

async function readIndex(access: FileAccess, folder: string): Promise<ShardIndex | undefined> {
  const path = join(folder, INDEX)
  if ((await access.kind(path)) !== "file") return undefined
  const json = await readJsonObject(await access.open(path), MAX_JSON_BYTES)
  const weights = json.get("weight_map")
  if (!isObject(weights))
    throw new ModelFileError("FORMAT", "weight_map is missing or not an object", { path })
  const shardOf = new Map<string, string>()
  for (const [name, shard] of Object.entries(weights)) {
    if (typeof shard !== "string" || !SHARD_NAME.test(shard)) {
      throw new ModelFileError(
        "FORMAT",
        `tensor ${name} is in ${JSON.stringify(shard)}; expected the plain name of a ` +
          `.safetensors file`,
        { path, tensor: name },
      )
    }
    shardOf.set(name, shard)
  }
  const metadata = json.get("metadata")
  const totalBytes =
    isObject(metadata) && typeof metadata["total_size"] === "number"
      ? metadata["total_size"]
      : undefined
  return { shardOf, totalBytes }
}

function checkAgainstIndex(
  entries: readonly SafetensorsEntry[],
  shardOf: ReadonlyMap<string, string>,
  shard: string,
  path: string,
): void {
  for (const { name } of entries) {
    const listed = shardOf.get(name)
    if (listed !== shard) {
      const fault =
        listed === undefined
          ? "which the index does not list"
          : `which the index puts into ${listed}`
      throw new ModelFileError("UNEXPECTED", `holds tensor ${name}, ${fault}`, {
        path,
        tensor: name,
      })
    }
  }
}

/**
 * After checkAgainstIndex every held tensor is listed once, so equal counts mean that nothing is
 * missing.
 */
function checkComplete(
  tensors: readonly StoredTensor[],
  shardOf: ReadonlyMap<string, string> | undefined,
  folder: string,
): void {
  if (shardOf === undefined || shardOf.size === tensors.length) return
  const held = new Set(tensors.map((tensor) => tensor.name))
  const absent = [...shardOf].find(([name]) => !held.has(name))
  if (absent !== undefined) {
    throw new ModelFileError(
      "MISSING",
      `tensor ${absent[0]} is listed in ${absent[1]}, which does not hold it`,
      { path: join(folder, INDEX), tensor: absent[0] },
    )
  }
}

function storedTensor(entry: SafetensorsEntry, file: number, path: string): StoredTensor {
  const type = TYPES[entry.dtype]
  if (type === undefined)
    throw new ModelFileError(
      "UNSUPPORTED",
      `tensor ${entry.name} has dtype "${entry.dtype}"; expected one of ` +
        Object.keys(TYPES).join(", "),
      { path, tensor: entry.name },
    )
  const last = entry.shape.length - 1
  const shape =
    type === TENSOR_TYPES.FP4_PACKED
      ? entry.shape.map((size, i) => (i === last ? 2 * size : size))
      : entry.shape
  return { name: entry.name, type, shape, file, offset: entry.offset, bytes: entry.bytes }
}

function sizeWarnings(tensors: readonly StoredTensor[], totalBytes: number | undefined): string[] {
  const held = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0)
  if (totalBytes === undefined || totalBytes === held) return []
  return [`the index says ${totalBytes} bytes of tensors; the shards hold ${held}`]
}
