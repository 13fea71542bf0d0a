import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs"

/** A named f32 array, flat. */
interface DumpedArray {
  readonly name: string
  readonly values: Float32Array
}

/** Writes flat f32 arrays as a safetensors file; nothing is left behind on an error. */
export function writeDump(path: string, arrays: readonly DumpedArray[]): void {
  let offset = 0
  const entries = arrays.map(({ name, values }) => {
    const begin = offset
    offset += values.byteLength
    return [name, { dtype: "F32", shape: [values.length], data_offsets: [begin, offset] }] as const
  })
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)))
  const padded = Buffer.concat([header, Buffer.alloc((8 - (header.length % 8)) % 8, " ")])
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(padded.length))
  writeWhole(path, [
    length,
    padded,
    ...arrays.map(
      ({ values }) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    ),
  ])
}

/** Writes parts one after another to a new file, which takes its name when it is complete. */
export function writeWhole(path: string, parts: Iterable<Uint8Array>): void {
  const partial = `${path}.${process.pid}.partial`
  const descriptor = openSync(partial, "w")
  try {
    for (const part of parts)
      for (let at = 0; at < part.length; ) at += writeSync(descriptor, part, at)
    closeSync(descriptor)
    renameSync(partial, path)
  } catch (error) {
    rmSync(partial, { force: true })
    throw error
  }
}
