// The safetensors shards of a tiny model.
import { rename } from "node:fs/promises"
import { join } from "node:path"
import type { StoredTensor, StoredType } from "./draw-weights.ts"

const ELEMENT_BYTES: Readonly<Record<StoredType, number>> = {
  I64: 8,
  F32: 4,
  BF16: 2,
  F8_E4M3: 1,
  F8_E8M0: 1,
  I8: 1,
}

/** The bytes of a safetensors file: larger elements first, then by name. */
export function safetensors(tensors: ReadonlyMap<string, StoredTensor>): Uint8Array {
  const sorted = [...tensors].sort(
    ([a, { type: typeA }], [b, { type: typeB }]) =>
      ELEMENT_BYTES[typeB] - ELEMENT_BYTES[typeA] || (a < b ? -1 : 1),
  )
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } }
  let end = 0
  for (const [name, { type, shape, bytes }] of sorted) {
    header[name] = { dtype: type, shape, data_offsets: [end, end + bytes.length] }
    end += bytes.length
  }
  const text = JSON.stringify(header)
  const headerBytes = Math.ceil(text.length / 8) * 8
  const file = Buffer.alloc(8 + headerBytes + end, " ")
  file.writeBigUInt64LE(BigInt(headerBytes), 0)
  file.write(text, 8)
  let at = 8 + headerBytes
  for (const [, { bytes }] of sorted) {
    file.set(bytes, at)
    at += bytes.length
  }
  return file
}

/** Index of the shard of a tensor: layers lie in equal parts, the head lies in the last one. */
export function shardOf(name: string, layers: number, shards: number): number {
  if (name.startsWith("embed")) return 0
  const layer = /^layers\.(\d+)\./.exec(name)?.[1]
  return layer === undefined ? shards - 1 : Math.floor((Number(layer) * shards) / layers)
}

/** Writes a file that appears complete or not at all. */
export async function writeWhole(folder: string, name: string, bytes: Uint8Array): Promise<void> {
  const part = join(folder, `.${name}.part-${process.pid}`)
  await Bun.write(part, bytes)
  await rename(part, join(folder, name))
}
