// Writes one safetensors file, tensor by tensor.
import { countingSink, type ByteSink } from "../output/byte-sink.ts"
import { writeOutput, type WriteOptions } from "../output/write-output.ts"
import { ModelFileError } from "../model-file-error.ts"
import { DTYPE_BYTES, type SafetensorsDtype } from "./header.ts"

/** A tensor to be written; `shape` is outermost first, in elements of the dtype. */
export interface SafetensorsPlan {
  readonly name: string
  readonly dtype: SafetensorsDtype
  readonly shape: readonly number[]
}

/**
 * The header with its length field, padded with spaces to a multiple of 8, and the size of each
 * tensor.
 */
export function layoutSafetensors(
  tensors: readonly SafetensorsPlan[],
  metadata: Readonly<Record<string, string>> = {},
): { header: Uint8Array; bytes: number[]; fileBytes: number } {
  const bytes = tensors.map(({ dtype, shape }) =>
    shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]),
  )
  let end = 0
  const entries = tensors.map(({ name, dtype, shape }, index): [string, unknown] => {
    const begin = end
    end += bytes[index] ?? 0
    return [name, { dtype, shape, data_offsets: [begin, end] }]
  })
  const head: [string, unknown][] =
    Object.keys(metadata).length === 0 ? [] : [["__metadata__", metadata]]
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries([...head, ...entries])))
  const padded = Math.ceil(json.length / 8) * 8
  const header = new Uint8Array(8 + padded).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true)
  header.set(json, 8)
  return { header, bytes, fileBytes: header.length + end }
}

/**
 * Writes a safetensors file. `fill` is called for each tensor in order and must give it exactly its
 * bytes.
 * @throws OutputError; on any error no file is left behind.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly SafetensorsPlan[],
  fill: (index: number, sink: ByteSink) => Promise<void>,
  options: WriteOptions & { readonly metadata?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const { header, bytes, fileBytes } = layoutSafetensors(tensors, options.metadata)
  await writeOutput(
    path,
    fileBytes,
    async (sink) => {
      await sink.write(header)
      for (const [index, expected] of bytes.entries()) {
        const counted = countingSink(sink)
        await fill(index, counted.sink)
        if (counted.bytes() !== expected) {
          throw new ModelFileError(
            "SHAPE",
            `tensor ${tensors[index]?.name} was given ${counted.bytes()} bytes; it needs ` +
              `${expected}`,
            { path },
          )
        }
      }
    },
    options,
  )
}
