// One safetensors file: u64 header length, a JSON header of name -> {dtype, shape, data_offsets},
// data. Offsets count from the end of the header and must cover the data without gap or overlap.
import type { ByteSource } from "../byte-source.ts"
import { FOREIGN_HEAD_BYTES, foreignFile } from "../foreign-file.ts"
import { MAX_SAFETENSORS_HEADER_BYTES, MAX_TENSORS, MAX_TENSOR_NAME_BYTES } from "../limits.ts"
import { ModelFileError } from "../model-file-error.ts"
import { isObject, parseJsonObject } from "./json.ts"

/** Bytes of one element by dtype; I8 and U8 hold FP4 pairs when they are expert weights. */
export const DTYPE_BYTES = {
  BF16: 2,
  BOOL: 1,
  F16: 2,
  F32: 4,
  F64: 8,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  I16: 2,
  I32: 4,
  I64: 8,
  I8: 1,
  U16: 2,
  U32: 4,
  U64: 8,
  U8: 1,
} as const
export type SafetensorsDtype = keyof typeof DTYPE_BYTES

export interface SafetensorsEntry {
  readonly name: string
  readonly dtype: SafetensorsDtype
  /** Outermost first, in elements of the dtype. */
  readonly shape: readonly number[]
  /** Absolute position in the file. */
  readonly offset: number
  readonly bytes: number
}

interface SafetensorsHeader {
  readonly entries: readonly SafetensorsEntry[]
  readonly metadata: ReadonlyMap<string, string>
  readonly dataBegin: number
}

const LENGTH_BYTES = 8
/** Objects and lists inside each other, as in `native/kt_bridge/experts/loading/json_reader.h`. */
const MAX_DEPTH = 32
const MAX_RANK = 8
const METADATA_KEY = "__metadata__"

/**
 * Reads and checks the header; the data is not touched.
 * @throws ModelFileError FORMAT, RANGE, SHAPE, UNSUPPORTED or UNEXPECTED, naming the tensor.
 */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const { path } = source
  if (source.bytes < LENGTH_BYTES)
    throw new ModelFileError(
      "FORMAT",
      `has ${source.bytes} bytes, too few for a safetensors header`,
      { path },
    )
  const beginning = await source.read(0, Math.min(FOREIGN_HEAD_BYTES, source.bytes))
  const head = beginning.subarray(0, LENGTH_BYTES)
  const length = new DataView(head.buffer, head.byteOffset).getBigUint64(0, true)
  const most = Math.min(MAX_SAFETENSORS_HEADER_BYTES, source.bytes - LENGTH_BYTES)
  if (length > BigInt(most)) {
    const hint = foreignFile(beginning)
    if (hint !== undefined) throw new ModelFileError("FORMAT", hint, { path })
    throw new ModelFileError(
      "RANGE",
      `claims a header of ${length} bytes; at most ${most} are possible in this file of ` +
        `${source.bytes} bytes`,
      { path },
    )
  }
  const dataBegin = LENGTH_BYTES + Number(length)
  const text = await source.read(LENGTH_BYTES, Number(length))
  const { members: json, depth, hasLoneSurrogate } = parseJsonObject(text, "the header", path)
  const metadata = textMap(json.get(METADATA_KEY), path)
  json.delete(METADATA_KEY)
  if (json.size > MAX_TENSORS)
    throw new ModelFileError("RANGE", `has ${json.size} tensors; the limit is ${MAX_TENSORS}`, {
      path,
    })
  const entries = [...json].map(([name, value]) => readEntry(name, value, dataBegin, path))
  if (depth > MAX_DEPTH)
    throw new ModelFileError(
      "RANGE",
      `the header has ${depth} objects and lists inside each other; the limit is ${MAX_DEPTH}`,
      { path },
    )
  if (hasLoneSurrogate)
    throw new ModelFileError("FORMAT", "the header has half of a surrogate pair in a string", {
      path,
    })
  checkCoverage(entries, dataBegin, source)
  return { entries, metadata, dataBegin }
}

function textMap(value: unknown, path: string): Map<string, string> {
  if (value === undefined) return new Map()
  if (!isObject(value))
    throw new ModelFileError("FORMAT", `${METADATA_KEY} is not an object`, { path })
  return new Map(
    Object.entries(value).map(([key, text]) => {
      if (typeof text !== "string")
        throw new ModelFileError("FORMAT", `${METADATA_KEY}.${key} is not a string`, { path })
      return [key, text]
    }),
  )
}

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0)

function readEntry(
  name: string,
  value: unknown,
  dataBegin: number,
  path: string,
): SafetensorsEntry {
  const fail = (code: "FORMAT" | "SHAPE" | "RANGE" | "UNSUPPORTED", message: string): never => {
    throw new ModelFileError(code, `tensor ${name.slice(0, MAX_TENSOR_NAME_BYTES)} ${message}`, {
      path,
      tensor: name,
    })
  }
  const nameBytes = Buffer.byteLength(name)
  if (nameBytes > MAX_TENSOR_NAME_BYTES)
    return fail("RANGE", `has a name of ${nameBytes} bytes; the limit is ${MAX_TENSOR_NAME_BYTES}`)
  if (!isObject(value)) return fail("FORMAT", "is not described by an object")
  const { dtype, shape, data_offsets: offsets } = value
  if (typeof dtype !== "string" || !isDtype(dtype))
    return fail(
      "UNSUPPORTED",
      `has dtype ${JSON.stringify(dtype)}; expected one of ${Object.keys(DTYPE_BYTES).join(", ")}`,
    )
  if (!Array.isArray(shape) || shape.length > MAX_RANK || !shape.every(isCount))
    return fail(
      "SHAPE",
      `has the shape ${JSON.stringify(shape)}; expected up to ${MAX_RANK} whole numbers`,
    )
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    return fail("FORMAT", `has data_offsets ${JSON.stringify(offsets)}; expected two whole numbers`)
  const [begin = 0, end = 0] = offsets
  let bytes: number = DTYPE_BYTES[dtype]
  for (const size of shape) {
    bytes *= size
    if (!Number.isSafeInteger(bytes))
      return fail(
        "SHAPE",
        `has ${end - begin} bytes of data; ${dtype} [${shape.join(", ")}] needs more than any ` +
          `file has`,
      )
  }
  if (end - begin !== bytes)
    return fail(
      "SHAPE",
      `has ${end - begin} bytes of data; ${dtype} [${shape.join(", ")}] needs ${bytes}`,
    )
  return { name, dtype, shape, offset: dataBegin + begin, bytes }
}

const isDtype = (value: string): value is SafetensorsDtype => Object.hasOwn(DTYPE_BYTES, value)

function checkCoverage(
  entries: readonly SafetensorsEntry[],
  dataBegin: number,
  source: ByteSource,
): void {
  let end = dataBegin
  let before = "the header"
  for (const entry of [...entries].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (entry.offset !== end) {
      const fault = entry.offset < end ? "overlaps" : "leaves a gap after"
      throw new ModelFileError(
        "RANGE",
        `tensor ${entry.name} starts at byte ${entry.offset} and ${fault} ${before}, which ends ` +
          `at byte ${end}`,
        { path: source.path, tensor: entry.name },
      )
    }
    end += entry.bytes
    before = entry.name
  }
  if (end !== source.bytes) {
    const fault =
      end > source.bytes ? "the file is cut off" : "there are bytes that belong to no tensor"
    throw new ModelFileError(
      "RANGE",
      `its last tensor ${before} ends at byte ${end}, but the file has ${source.bytes} bytes: ` +
        `${fault}`,
      { path: source.path, tensor: before },
    )
  }
}
