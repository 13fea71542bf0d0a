// Reads the key-value records of a GGUF header. Value types by number:
//   0 u8, 1 i8, 2 u16, 3 i16, 4 u32, 5 i32, 6 f32, 7 bool, 8 string, 10 u64, 11 i64, 12 f64
//   9 array: u32 element type, u64 count, elements
import {
  MAX_GGUF_HEADER_BYTES,
  MAX_KEY_BYTES,
  MAX_METADATA_DEPTH,
  MAX_METADATA_ELEMENTS,
} from "../limits.ts"
import { ModelFileError } from "../model-file-error.ts"
import type { Cursor } from "./cursor.ts"

export type GgufScalarType =
  | "u8"
  | "i8"
  | "u16"
  | "i16"
  | "u32"
  | "i32"
  | "f32"
  | "bool"
  | "string"
  | "u64"
  | "i64"
  | "f64"

/** A typed value. 64-bit integers that fit a double exactly are numbers, others stay bigint. */
export type GgufValue =
  | { readonly type: GgufScalarType; readonly value: number | bigint | boolean | string }
  | {
      readonly type: "array"
      readonly element: GgufScalarType
      readonly value: readonly (number | bigint | boolean | string)[]
    }
  | { readonly type: "array"; readonly element: "array"; readonly value: readonly GgufValue[] }

export const GGUF_VALUE_TYPES = [
  "u8",
  "i8",
  "u16",
  "i16",
  "u32",
  "i32",
  "f32",
  "bool",
  "string",
  "array",
  "u64",
  "i64",
  "f64",
] as const

type Plain = number | bigint | boolean | string

/** Smallest size of one element: a string or an array has at least its counts. */
const LEAST_BYTES: Readonly<Record<GgufScalarType | "array", number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  string: 8,
  array: 12,
  u64: 8,
  i64: 8,
  f64: 8,
}

const narrow = (value: bigint): number | bigint => {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/** Bounds that one header's arrays share. */
export class MetadataBudget {
  private elements = 0

  constructor(
    private readonly fileBytes: number,
    private readonly path: string,
  ) {}

  /** Counts `count` elements of at least `least` bytes before they are read. */
  spend(count: number, least: number, what: string): void {
    this.elements += count
    if (count * least > this.fileBytes)
      throw new ModelFileError(
        "RANGE",
        `${what} claims ${count} elements, more than the file of ${this.fileBytes} bytes can hold`,
        { path: this.path },
      )
    if (this.elements > MAX_METADATA_ELEMENTS)
      throw new ModelFileError(
        "RANGE",
        `${what} brings the metadata arrays to ${this.elements} elements; the limit is ` +
          `${MAX_METADATA_ELEMENTS}`,
        { path: this.path },
      )
  }

  /** For a record that is read again: what it had counted is given back. */
  mark(): number {
    return this.elements
  }
  reset(mark: number): void {
    this.elements = mark
  }
}

/** One record: key and typed value. */
export function readMetadataRecord(
  cursor: Cursor,
  budget: MetadataBudget,
  path: string,
): { key: string; value: GgufValue } {
  const mark = budget.mark()
  try {
    const key = cursor.label(MAX_KEY_BYTES, "a metadata key")
    const record = { quoted: quotedKey(key), isNeeded: NEEDED.test(key), path }
    const type = valueType(cursor, `metadata key ${record.quoted}`, path)
    const value: GgufValue =
      type === "array"
        ? readArray(cursor, budget, record, 1)
        : { type, value: scalarReader(cursor, type, record)() }
    return { key, value }
  } catch (error) {
    budget.reset(mark)
    throw error
  }
}

const SHOWN_KEY = 60

/** A key for a message: in quotes, with its control characters escaped, and not too long. */
export const quotedKey = (key: string): string =>
  JSON.stringify(key.length > SHOWN_KEY ? `${key.slice(0, SHOWN_KEY)}…` : key)

/** Keys whose values must be right to the last bit; the rest is for people. */
const NEEDED = /^(?:general\.(?:architecture|alignment)$|deepseek4\.|tokenizer\.ggml\.|split\.)/

/** Facts of the key whose value is read: once a record, not once an element. */
interface RecordKey {
  readonly quoted: string
  readonly isNeeded: boolean
  readonly path: string
}

function valueType(cursor: Cursor, what: string, path: string): GgufScalarType | "array" {
  const id = cursor.u32()
  const type = GGUF_VALUE_TYPES[id]
  if (type === undefined)
    throw new ModelFileError(
      "FORMAT",
      `${what} has value type ${id}; expected 0 to ${GGUF_VALUE_TYPES.length - 1}`,
      { path },
    )
  return type
}

/** Reads one value of a type at a call; arrays have millions of them. */
function scalarReader(cursor: Cursor, type: GgufScalarType, record: RecordKey): () => Plain {
  switch (type) {
    case "u8":
      return () => cursor.u8()
    case "u64":
      return () => narrow(cursor.u64())
    case "i64":
      return () => narrow(cursor.i64())
    case "string": {
      const what = `the string of ${record.quoted}`
      return record.isNeeded
        ? () => cursor.text(MAX_GGUF_HEADER_BYTES, what)
        : () => cursor.label(MAX_GGUF_HEADER_BYTES, what)
    }
    case "bool":
      return () => readBoolean(cursor, record)
    default:
      return () => cursor[type]()
  }
}

function readBoolean(cursor: Cursor, { quoted, isNeeded, path }: RecordKey): boolean {
  const byte = cursor.u8()
  if (byte > 1 && isNeeded)
    throw new ModelFileError(
      "FORMAT",
      `metadata key ${quoted} holds the boolean ${byte}; expected 0 or 1`,
      { path },
    )
  return byte !== 0
}

function readArray(
  cursor: Cursor,
  budget: MetadataBudget,
  record: RecordKey,
  depth: number,
): GgufValue {
  const { quoted, path } = record
  if (depth > MAX_METADATA_DEPTH)
    throw new ModelFileError(
      "RANGE",
      `metadata key ${quoted} nests arrays deeper than ${MAX_METADATA_DEPTH}`,
      { path },
    )
  const element = valueType(cursor, `the array ${quoted}`, path)
  const count = cursor.count(MAX_METADATA_ELEMENTS, `count of the array ${quoted}`)
  budget.spend(count, LEAST_BYTES[element], `metadata key ${quoted}`)
  if (element === "array") {
    const value: GgufValue[] = []
    for (let i = 0; i < count; i++) value.push(readArray(cursor, budget, record, depth + 1))
    return { type: "array", element, value }
  }
  const value: Plain[] = []
  const next = scalarReader(cursor, element, record)
  for (let i = 0; i < count; i++) value.push(next())
  return { type: "array", element, value }
}

/** The value without its types, as ModelFile.metadata gives it. */
export function plainValue(value: GgufValue): unknown {
  if (value.type !== "array") return value.value
  return value.element === "array" ? value.value.map(plainValue) : value.value
}
