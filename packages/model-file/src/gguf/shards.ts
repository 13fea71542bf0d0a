// A GGUF model is one file, or "name-00001-of-00003.gguf" and its siblings. Each shard has its own
// header and data; the metadata of the model stands in the first.
import { basename, dirname, join } from "node:path"
import type { FileAccess } from "../byte-source.ts"
import { MAX_FILES } from "../limits.ts"
import { shown } from "../metadata-reader.ts"
import { ModelFileError } from "../model-file-error.ts"
import type { StoredTensor } from "../stored-tensor.ts"
import { readGgufHeader, type GgufHeader } from "./header.ts"

interface GgufFiles {
  readonly files: { path: string; bytes: number }[]
  readonly header: GgufHeader
  readonly tensors: StoredTensor[]
}

const SHARD_NAME = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/

/**
 * Reads the header of a GGUF model and of its further shards. `path` is the file or the first
 * shard.
 */
export async function readGgufFiles(access: FileAccess, path: string): Promise<GgufFiles> {
  const source = await access.open(path)
  const header = await readGgufHeader(source)
  const count = wholeOf(header, "split.count", path) ?? 1
  const tensors = header.tensors.map((tensor): StoredTensor => ({ ...tensor, file: 0 }))
  const files = [{ path, bytes: source.bytes }]
  if (count <= 1) return { files, header, tensors }
  if (count > MAX_FILES)
    throw new ModelFileError("RANGE", `split.count is ${count}; the limit is ${MAX_FILES}`, {
      path,
    })
  const pathOf = shardPaths(path, count, wholeOf(header, "split.no", path))
  for (let index = 1; index < count; index++) {
    const shard = await readShard(access, pathOf(index), index, count)
    files.push({ path: pathOf(index), bytes: shard.bytes })
    tensors.push(
      ...shard.header.tensors.map((tensor): StoredTensor => ({ ...tensor, file: index })),
    )
  }
  checkTotals(tensors, wholeOf(header, "split.tensors.count", path), path)
  return { files, header, tensors }
}

function wholeOf(header: GgufHeader, key: string, path: string): number | undefined {
  const value = header.metadata.get(key)?.value
  if (value === undefined) return undefined
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value
  throw new ModelFileError("VALUE", `${key} is ${shown(value)}; expected a whole number`, { path })
}

function shardPaths(
  path: string,
  count: number,
  index: number | undefined,
): (index: number) => string {
  const match = SHARD_NAME.exec(basename(path))
  const numbered = (value: number): string => String(value).padStart(5, "0")
  if (match === null) {
    throw new ModelFileError(
      "FORMAT",
      `is one of ${count} shards, but its name does not end in "-00001-of-` +
        `${numbered(count)}.gguf", so the others cannot be found`,
      { path },
    )
  }
  const pathOf = (shard: number): string =>
    join(dirname(path), `${match[1]}-${numbered(shard + 1)}-of-${numbered(count)}.gguf`)
  if (Number(match[3]) !== count)
    throw new ModelFileError("FORMAT", `split.count is ${count}, but the name says ${match[3]}`, {
      path,
    })
  if (index !== 0 || Number(match[2]) !== 1) {
    throw new ModelFileError(
      "FORMAT",
      `is shard ${match[2]} (split.no ${String(index)}) of ${count}; open the first, ${pathOf(0)}`,
      { path },
    )
  }
  return pathOf
}

async function readShard(
  access: FileAccess,
  path: string,
  index: number,
  count: number,
): Promise<{ header: GgufHeader; bytes: number }> {
  if ((await access.kind(path)) !== "file")
    throw new ModelFileError("MISSING", `shard ${index + 1} of ${count} is missing`, { path })
  const source = await access.open(path)
  const header = await readGgufHeader(source)
  for (const [key, expected] of [
    ["split.no", index],
    ["split.count", count],
  ] as const) {
    const value = wholeOf(header, key, path)
    if (value !== expected)
      throw new ModelFileError("FORMAT", `${key} is ${String(value)}; expected ${expected}`, {
        path,
      })
  }
  return { header, bytes: source.bytes }
}

function checkTotals(
  tensors: readonly StoredTensor[],
  expected: number | undefined,
  path: string,
): void {
  if (expected !== undefined && expected !== tensors.length) {
    throw new ModelFileError(
      "MISSING",
      `split.tensors.count is ${expected}, but the shards hold ${tensors.length} tensors`,
      { path },
    )
  }
  const names = new Set<string>()
  for (const { name } of tensors) {
    if (names.has(name))
      throw new ModelFileError("UNEXPECTED", `tensor ${name} appears in two shards`, {
        path,
        tensor: name,
      })
    names.add(name)
  }
}
