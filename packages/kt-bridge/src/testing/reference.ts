// A slow forward in f64 over the canonical bytes of a checkpoint, read here and nowhere near the
// library.
import { join } from "node:path"
import type { ExpertShape, ForwardInput } from "../index.ts"

interface HeaderEntry {
  data_offsets: [number, number]
}

/** Bytes of one tensor of a single-shard folder. */
export async function tensorReader(folder: string): Promise<(name: string) => Uint8Array> {
  const bytes = await Bun.file(join(folder, "model-00001-of-00001.safetensors")).bytes()
  const headerBytes = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes))) as Record<
    string,
    HeaderEntry
  >
  return (name) => {
    const entry = header[name]
    if (entry === undefined) throw new Error(`no tensor ${name}`)
    return bytes.subarray(
      8 + headerBytes + entry.data_offsets[0],
      8 + headerBytes + entry.data_offsets[1],
    )
  }
}

const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6]

/** [rows, cols] of codes [rows, cols / 2] and scales [rows, cols / 32]. */
export function decodeMatrix(codes: Uint8Array, scales: Uint8Array): Float64Array {
  return Float64Array.from({ length: codes.length * 2 }, (_, i) => {
    const byte = codes[i >> 1] ?? 0
    return (E2M1[i % 2 === 0 ? byte & 15 : byte >> 4] ?? 0) * 2 ** ((scales[i >> 5] ?? 0) - 127)
  })
}

function product(matrix: Float64Array, vector: ArrayLike<number>, rows: number): Float64Array {
  const cols = matrix.length / rows
  return Float64Array.from({ length: rows }, (_, row) => {
    let sum = 0
    for (let col = 0; col < cols; col++) sum += (matrix[row * cols + col] ?? 0) * (vector[col] ?? 0)
    return sum
  })
}

export function referenceForward(
  matrix: (expert: number, name: string) => Float64Array,
  shape: ExpertShape,
  call: ForwardInput,
): Float64Array {
  const { hidden, moeIntermediateSize, expertsPerToken, swigluLimit: limit } = shape
  const output = new Float64Array(call.input.length)
  call.ids.forEach((expert, slot) => {
    if (expert < 0) return
    const token = Math.floor(slot / expertsPerToken) * hidden
    const x = call.input.subarray(token, token + hidden)
    const gate = product(matrix(expert, "w1"), x, moeIntermediateSize)
    const up = product(matrix(expert, "w3"), x, moeIntermediateSize)
    const inner = gate.map((value, i) => {
      const g = Math.min(value, limit)
      return (g / (1 + Math.exp(-g))) * Math.max(-limit, Math.min(limit, up[i] ?? 0))
    })
    product(matrix(expert, "w2"), inner, hidden).forEach((value, i) => {
      output[token + i] = (output[token + i] ?? 0) + value * (call.weights[slot] ?? 0)
    })
  })
  return output
}

export function relativeError(got: Float32Array, expected: Float64Array): number {
  let error = 0
  let size = 0
  expected.forEach((value, i) => {
    error += ((got[i] ?? Number.NaN) - value) ** 2
    size += value ** 2
  })
  return Math.sqrt(error / size)
}
