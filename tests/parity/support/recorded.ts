// The recorded vectors: safetensors files of results, and the facts about their prompts.
import { resolve } from "node:path"

const VECTORS = resolve(import.meta.dir, "../../vectors")

type Values = Float32Array | Int32Array | BigInt64Array | Float64Array | Uint8Array

interface RecordedTensor {
  readonly shape: readonly number[]
  readonly values: Values
}

const READERS: Readonly<Record<string, (bytes: ArrayBuffer) => Values>> = {
  F32: (bytes) => new Float32Array(bytes),
  F64: (bytes) => new Float64Array(bytes),
  I32: (bytes) => new Int32Array(bytes),
  I64: (bytes) => new BigInt64Array(bytes),
  U8: (bytes) => new Uint8Array(bytes),
  BOOL: (bytes) => new Uint8Array(bytes),
}

interface Entry {
  dtype: string
  shape: number[]
  data_offsets: [number, number]
}

export class Recorded {
  private constructor(private readonly tensors: ReadonlyMap<string, RecordedTensor>) {}

  static async open(name: string): Promise<Recorded> {
    const file = await Bun.file(`${VECTORS}/${name}`).arrayBuffer()
    const header = Number(new DataView(file).getBigUint64(0, true))
    const entries = JSON.parse(new TextDecoder().decode(file.slice(8, 8 + header))) as Record<
      string,
      Entry
    >
    const tensors = new Map<string, RecordedTensor>()
    for (const [key, entry] of Object.entries(entries)) {
      const read = READERS[entry.dtype]
      if (key === "__metadata__" || read === undefined) continue
      const [begin, end] = entry.data_offsets
      tensors.set(key, {
        shape: entry.shape,
        values: read(file.slice(8 + header + begin, 8 + header + end)),
      })
    }
    return new Recorded(tensors)
  }

  has(name: string): boolean {
    return this.tensors.has(name)
  }

  tensor(name: string): RecordedTensor {
    const found = this.tensors.get(name)
    if (found === undefined) throw new Error(`the recorded file has no ${name}`)
    return found
  }

  /** Any stored type as plain numbers. */
  numbers(name: string): number[] {
    return Array.from(this.tensor(name).values as Iterable<number | bigint>, Number)
  }
}

export interface RecordedPrompt {
  readonly name: string
  readonly float32_spread?: { readonly last_streams: number }
}

export async function recordedPrompts(name: string): Promise<readonly RecordedPrompt[]> {
  return ((await Bun.file(`${VECTORS}/${name}`).json()) as { prompts: RecordedPrompt[] }).prompts
}

/** Largest |a - b|; NaN if anything is NaN. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} values against ${b.length}`)
  let largest = 0
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs((a[i] ?? NaN) - (b[i] ?? NaN))
    if (!(difference <= largest)) largest = difference
  }
  return largest
}

export function argmax(values: ArrayLike<number>): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if ((values[i] ?? NaN) > (values[best] ?? NaN)) best = i
  return best
}
