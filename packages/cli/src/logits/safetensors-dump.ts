import { writeOutput, type WriteOptions } from "@ds4/model-file"

/** A named f32 array, flat. */
interface DumpedArray {
  readonly name: string
  readonly values: Float32Array
}

/** Writes flat f32 arrays as a safetensors file; nothing is left behind on an error. */
export async function writeDump(
  path: string,
  arrays: readonly DumpedArray[],
  options: WriteOptions,
): Promise<void> {
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
  const parts = [
    length,
    padded,
    ...arrays.map(
      ({ values }) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    ),
  ]
  const bytes = parts.reduce((sum, part) => sum + part.length, 0)
  await writeParts(path, bytes, parts, options)
}

/** Writes parts one after another, `bytes` in all. @throws OutputError */
export async function writeParts(
  path: string,
  bytes: number,
  parts: Iterable<Uint8Array>,
  options: WriteOptions,
): Promise<void> {
  await writeOutput(
    path,
    bytes,
    async (sink) => {
      for (const part of parts) await sink.write(part)
    },
    options,
  )
}
