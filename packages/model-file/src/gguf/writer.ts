// Writes one GGUF file: header first, then each tensor as it comes, so that nothing large is held
// in memory.
import { countingSink, type ByteSink } from "../output/byte-sink.ts"
import { writeOutput, type WriteOptions } from "../output/write-output.ts"
import { ModelFileError } from "../model-file-error.ts"
import { elementBytes, type TensorType } from "../tensor-types.ts"
import { GGUF_MAGIC, GGUF_VERSION, alignmentOf } from "./header.ts"
import { GGUF_VALUE_TYPES, type GgufScalarType, type GgufValue } from "./metadata.ts"

/**
 * A tensor to be written. `shape` is outermost first, [rows, cols]; it is stored the other way
 * round.
 */
export interface GgufTensorPlan {
  readonly name: string
  readonly type: TensorType
  readonly shape: readonly number[]
}

interface GgufPlan {
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly tensors: readonly GgufTensorPlan[]
}

interface GgufLayout {
  /** Header with its padding; the data follows. */
  readonly header: Uint8Array
  /** Absolute position and size of each tensor, in order. */
  readonly places: readonly { readonly offset: number; readonly bytes: number }[]
  readonly fileBytes: number
}

/** Growing little-endian output. */
class Output {
  private bytes = new Uint8Array(2 ** 16)
  private view = new DataView(this.bytes.buffer)
  length = 0

  private grow(more: number): number {
    const begin = this.length
    this.length += more
    if (this.length > this.bytes.length) {
      const wider = new Uint8Array(Math.max(this.length, 2 * this.bytes.length))
      wider.set(this.bytes)
      this.bytes = wider
      this.view = new DataView(wider.buffer)
    }
    return begin
  }

  u32(value: number): void {
    const at = this.grow(4)
    this.view.setUint32(at, value, true)
  }
  u64(value: number | bigint): void {
    const at = this.grow(8)
    this.view.setBigUint64(at, BigInt(value), true)
  }

  text(value: string): void {
    const encoded = new TextEncoder().encode(value)
    this.u64(encoded.length)
    const at = this.grow(encoded.length)
    this.bytes.set(encoded, at)
  }

  scalar(type: GgufScalarType, value: number | bigint | boolean | string): void {
    if (type === "string") return this.text(String(value))
    const number = Number(value)
    switch (type) {
      case "u8":
      case "bool": {
        const at = this.grow(1)
        return this.view.setUint8(at, number)
      }
      case "i8": {
        const at = this.grow(1)
        return this.view.setInt8(at, number)
      }
      case "u16": {
        const at = this.grow(2)
        return this.view.setUint16(at, number, true)
      }
      case "i16": {
        const at = this.grow(2)
        return this.view.setInt16(at, number, true)
      }
      case "u32":
        return this.u32(number)
      case "i32": {
        const at = this.grow(4)
        return this.view.setInt32(at, number, true)
      }
      case "f32": {
        const at = this.grow(4)
        return this.view.setFloat32(at, number, true)
      }
      case "f64": {
        const at = this.grow(8)
        return this.view.setFloat64(at, number, true)
      }
      case "u64":
        return this.u64(BigInt(value))
      case "i64": {
        const at = this.grow(8)
        return this.view.setBigInt64(at, BigInt(value), true)
      }
    }
  }

  value(value: GgufValue): void {
    this.u32(GGUF_VALUE_TYPES.indexOf(value.type))
    if (value.type === "array") this.array(value)
    else this.scalar(value.type, value.value)
  }

  private array(array: Extract<GgufValue, { type: "array" }>): void {
    this.u32(GGUF_VALUE_TYPES.indexOf(array.element))
    this.u64(array.value.length)
    if (array.element === "array") {
      for (const inner of array.value) {
        if (inner.type === "array") this.array(inner)
      }
    } else {
      for (const inner of array.value) this.scalar(array.element, inner)
    }
  }

  padded(alignment: number): Uint8Array {
    this.grow(roundUp(this.length, alignment) - this.length)
    return this.bytes.slice(0, this.length)
  }
}

const roundUp = (value: number, to: number): number => Math.ceil(value / to) * to

/**
 * Lays the file out: every tensor starts at a multiple of general.alignment, in the order given.
 */
export function layoutGguf({ metadata, tensors }: GgufPlan): GgufLayout {
  const alignment = alignmentOf(metadata, undefined)
  const output = new Output()
  output.u32(GGUF_MAGIC)
  output.u32(GGUF_VERSION)
  output.u64(tensors.length)
  output.u64(metadata.size)
  for (const [key, value] of metadata) {
    output.text(key)
    output.value(value)
  }
  let end = 0
  const relative = tensors.map((tensor) => {
    const offset = roundUp(end, alignment)
    const bytes = planBytes(tensor)
    end = offset + bytes
    output.text(tensor.name)
    output.u32(tensor.shape.length)
    for (const size of [...tensor.shape].reverse()) output.u64(size)
    output.u32(tensor.type.id)
    output.u64(offset)
    return { offset, bytes }
  })
  const header = output.padded(alignment)
  return {
    header,
    places: relative.map(({ offset, bytes }) => ({ offset: header.length + offset, bytes })),
    fileBytes: roundUp(header.length + end, alignment),
  }
}

function planBytes({ name, type, shape }: GgufTensorPlan): number {
  const rowBytes = elementBytes(type, shape.at(-1) ?? 1)
  if (rowBytes === undefined) {
    throw new ModelFileError(
      "SHAPE",
      `tensor ${name} has rows of ${shape.at(-1)} values; ${type.name} needs a multiple of ` +
        `${type.block}`,
      { tensor: name },
    )
  }
  return shape.slice(0, -1).reduce((product, size) => product * size, rowBytes)
}

/**
 * Writes a GGUF file. `fill` is called for each tensor in order and must give it exactly its bytes.
 * @throws OutputError; on any error no file is left behind.
 */
export async function writeGguf(
  path: string,
  plan: GgufPlan,
  fill: (index: number, sink: ByteSink) => Promise<void>,
  options: WriteOptions = {},
): Promise<void> {
  const { header, places, fileBytes } = layoutGguf(plan)
  await writeOutput(
    path,
    fileBytes,
    async (sink) => {
      await sink.write(header)
      let position = header.length
      for (const [index, place] of places.entries()) {
        await sink.skip(place.offset - position)
        const counted = countingSink(sink)
        await fill(index, counted.sink)
        if (counted.bytes() !== place.bytes) {
          throw new ModelFileError(
            "SHAPE",
            `tensor ${plan.tensors[index]?.name} was given ${counted.bytes()} bytes; it needs ` +
              `${place.bytes}`,
            { path },
          )
        }
        position = place.offset + place.bytes
      }
      await sink.skip(fileBytes - position)
    },
    options,
  )
}
