// The header of one GGUF file: "GGUF", u32 version, u64 tensor count, u64 record count, records,
// tensor directory, padding to general.alignment, data. Offsets in the directory count from the
// start of the data.
import type { ByteSource } from "../byte-source.ts"
import {
  MAX_ALIGNMENT,
  MAX_DIMENSIONS,
  MAX_METADATA_RECORDS,
  MAX_TENSORS,
  MAX_TENSOR_NAME_BYTES,
} from "../limits.ts"
import { FOREIGN_HEAD_BYTES, foreignFile } from "../foreign-file.ts"
import { shown } from "../metadata-reader.ts"
import { ModelFileError } from "../model-file-error.ts"
import { elementBytes, tensorTypeById, type TensorType } from "../tensor-types.ts"
import { GgufHeaderReader, type Cursor } from "./cursor.ts"
import { MetadataBudget, quotedKey, readMetadataRecord, type GgufValue } from "./metadata.ts"

export const GGUF_MAGIC = 0x46554747 // "GGUF" read as a little-endian u32
export const GGUF_VERSION = 3
const DEFAULT_ALIGNMENT = 32

/** A tensor of the directory, checked against the file. */
interface GgufTensor {
  readonly name: string
  readonly type: TensorType
  /** Outermost first, so [rows, cols]: the reverse of the file's order. */
  readonly shape: readonly number[]
  /** Absolute position in the file. */
  readonly offset: number
  readonly bytes: number
}

export interface GgufHeader {
  /** In file order, with the stored types: enough to write the same bytes again. */
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly tensors: readonly GgufTensor[]
  readonly alignment: number
  readonly dataBegin: number
}

interface Counts {
  readonly tensors: number
  readonly records: number
}
interface DirectoryEntry {
  readonly name: string
  readonly shape: readonly number[]
  readonly typeId: number
  readonly relativeOffset: bigint
}

/**
 * Reads and checks the header of one file; the data is not touched.
 * @throws ModelFileError FORMAT, RANGE, SHAPE, UNSUPPORTED or UNEXPECTED, naming the tensor or key.
 */
export async function readGgufHeader(source: ByteSource): Promise<GgufHeader> {
  const { path } = source
  const head = await source.read(0, Math.min(FOREIGN_HEAD_BYTES, source.bytes))
  const hint = isGguf(head) ? undefined : foreignFile(head)
  if (hint !== undefined) throw new ModelFileError("FORMAT", hint, { path })
  const reader = await GgufHeaderReader.open(source)
  const counts = await reader.record("the file header", (cursor) => readCounts(cursor, path))
  const metadata = await readMetadata(reader, source, counts.records)
  const alignment = alignmentOf(metadata, path)
  const entries: DirectoryEntry[] = []
  for (let i = 0; i < counts.tensors; i++) {
    entries.push(
      await reader.record(`entry ${i} of the tensor directory`, (cursor) =>
        readDirectoryEntry(cursor, path),
      ),
    )
  }
  const dataBegin = Math.ceil(reader.position / alignment) * alignment
  const tensors = entries.map((entry) => placeTensor(entry, dataBegin, alignment, source))
  checkOverlap(tensors, path)
  return { metadata, tensors, alignment, dataBegin }
}

const isGguf = (head: Uint8Array): boolean =>
  head.length >= 4 && new DataView(head.buffer, head.byteOffset).getUint32(0, true) === GGUF_MAGIC

function readCounts(cursor: Cursor, path: string): Counts {
  const magic = cursor.u32()
  if (magic !== GGUF_MAGIC)
    throw new ModelFileError(
      "FORMAT",
      `starts with 0x${magic.toString(16).padStart(8, "0")}; a GGUF file starts with "GGUF"`,
      { path },
    )
  const version = cursor.u32()
  if (version !== GGUF_VERSION) {
    const hint = version === 0x03000000 ? " (a big-endian file; convert it to little-endian)" : ""
    throw new ModelFileError(
      "UNSUPPORTED",
      `GGUF version ${version}; only version ${GGUF_VERSION} is supported${hint}`,
      { path },
    )
  }
  return {
    tensors: cursor.count(MAX_TENSORS, "the tensor count"),
    records: cursor.count(MAX_METADATA_RECORDS, "the metadata record count"),
  }
}

async function readMetadata(
  reader: GgufHeaderReader,
  source: ByteSource,
  records: number,
): Promise<Map<string, GgufValue>> {
  const budget = new MetadataBudget(source.bytes, source.path)
  const metadata = new Map<string, GgufValue>()
  for (let i = 0; i < records; i++) {
    const { key, value } = await reader.record(`metadata record ${i}`, (cursor) =>
      readMetadataRecord(cursor, budget, source.path),
    )
    if (metadata.has(key))
      throw new ModelFileError("FORMAT", `metadata key ${quotedKey(key)} appears twice`, {
        path: source.path,
      })
    metadata.set(key, value)
  }
  return metadata
}

/**
 * general.alignment, or the default. @throws ModelFileError RANGE when it is no power of two within
 * the limit.
 */
export function alignmentOf(
  metadata: ReadonlyMap<string, GgufValue>,
  path: string | undefined,
): number {
  const value: unknown = metadata.get("general.alignment")?.value ?? DEFAULT_ALIGNMENT
  if (
    typeof value === "number" &&
    value >= 1 &&
    value <= MAX_ALIGNMENT &&
    Number.isInteger(Math.log2(value))
  )
    return value
  throw new ModelFileError(
    "RANGE",
    `general.alignment is ${shown(value)}; expected a power of two up to ${MAX_ALIGNMENT}`,
    { path },
  )
}

function readDirectoryEntry(cursor: Cursor, path: string): DirectoryEntry {
  const name = cursor.text(MAX_TENSOR_NAME_BYTES, "a tensor name")
  const dimensions = cursor.u32()
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) {
    throw new ModelFileError(
      "SHAPE",
      `tensor ${name} has ${dimensions} dimensions; expected 1 to ${MAX_DIMENSIONS}`,
      { path, tensor: name },
    )
  }
  const shape: number[] = []
  let elements = 1
  for (let i = 0; i < dimensions; i++) {
    const size = cursor.count(Number.MAX_SAFE_INTEGER, `dimension ${i} of tensor ${name}`)
    elements *= size
    if (size < 1 || !Number.isSafeInteger(elements)) {
      throw new ModelFileError(
        "SHAPE",
        `tensor ${name} has the dimensions ${[size, ...shape].join(" x ")}; expected positive ` +
          `ones with a product below 2^53`,
        { path, tensor: name },
      )
    }
    shape.unshift(size)
  }
  return { name, shape, typeId: cursor.u32(), relativeOffset: cursor.u64() }
}

function placeTensor(
  entry: DirectoryEntry,
  dataBegin: number,
  alignment: number,
  source: ByteSource,
): GgufTensor {
  const { name, shape } = entry
  const fail = (code: "SHAPE" | "RANGE" | "UNSUPPORTED", message: string): never => {
    throw new ModelFileError(code, `tensor ${name} ${message}`, { path: source.path, tensor: name })
  }
  const type = tensorTypeById(entry.typeId)
  if (type === undefined || type.id >= FIRST_FOREIGN_TYPE)
    return fail(
      "UNSUPPORTED",
      `has type ${entry.typeId}, which is not supported; convert the model to a supported type`,
    )
  const cols = shape.at(-1) ?? 1
  const rowBytes = elementBytes(type, cols)
  if (rowBytes === undefined)
    return fail(
      "SHAPE",
      `has rows of ${cols} values; ${type.name} needs a multiple of ${type.block}`,
    )
  const bytes = shape.slice(0, -1).reduce((product, size) => product * size, rowBytes)
  if (entry.relativeOffset % BigInt(alignment) !== 0n)
    return fail(
      "RANGE",
      `starts at offset ${entry.relativeOffset}; expected a multiple of the alignment ${alignment}`,
    )
  const end = BigInt(dataBegin) + entry.relativeOffset + BigInt(bytes)
  if (end > BigInt(source.bytes))
    return fail("RANGE", `ends at byte ${end}, but the file has ${source.bytes} bytes`)
  return { name, type, shape, offset: dataBegin + Number(entry.relativeOffset), bytes }
}

/** Types from here on exist in safetensors only. */
const FIRST_FOREIGN_TYPE = 1000

function checkOverlap(tensors: readonly GgufTensor[], path: string): void {
  const names = new Set<string>()
  for (const { name } of tensors) {
    if (names.has(name))
      throw new ModelFileError("UNEXPECTED", `tensor ${name} appears twice`, { path, tensor: name })
    names.add(name)
  }
  const byOffset = [...tensors].sort((a, b) => a.offset - b.offset)
  byOffset.reduce<GgufTensor | undefined>((before, tensor) => {
    if (before !== undefined && before.offset + before.bytes > tensor.offset) {
      throw new ModelFileError(
        "RANGE",
        `tensor ${tensor.name} starts at byte ${tensor.offset}, inside ${before.name} (bytes ` +
          `${before.offset} to ${before.offset + before.bytes})`,
        { path, tensor: tensor.name },
      )
    }
    return tensor
  }, undefined)
}
