// Streams the rows of one tensor from the source files into the new one, converting on the way.
import {
  ModelFileError,
  TENSOR_TYPES,
  elementBytes,
  tensorTypeById,
  type ByteSink,
  type ByteSource,
  type TensorEntry,
  type TensorType,
} from "@ds4/model-file"
import type { ConvertRows } from "./convert-rows.ts"
import type { QuantizeTensor } from "./plan.ts"

/** Rows are handled in pieces of about this size, counted on the wider side. */
const PIECE_BYTES = 8 * 2 ** 20

interface TensorCopy {
  readonly tensor: QuantizeTensor
  readonly files: readonly ByteSource[]
  readonly convert: ConvertRows
  readonly sink: ByteSink
  readonly signal: AbortSignal | undefined
}

/** Writes all rows of `tensor`, expert after expert. */
export async function writeTensor(copy: TensorCopy): Promise<void> {
  for (const source of copy.tensor.sources) await writeSource(copy, source)
}

async function writeSource(copy: TensorCopy, source: TensorEntry): Promise<void> {
  const { tensor, sink } = copy
  const from = typeOf(source)
  const rows = source.depth * source.rows
  const fromRow = rowBytes(from, source)
  const toRow = rowBytes(tensor.type, source)
  const file = fileOf(copy, source.file)
  const pieceRows = Math.max(1, Math.floor(PIECE_BYTES / Math.max(fromRow, toRow)))
  const wholeScales =
    from === TENSOR_TYPES.F8_E4M3
      ? await fileOf(copy, source.scaleFile).read(source.scaleOffset, source.scaleBytes)
      : undefined
  for (let begin = 0; begin < rows; begin += pieceRows) {
    copy.signal?.throwIfAborted()
    const count = Math.min(pieceRows, rows - begin)
    const bytes = await file.read(source.offset + begin * fromRow, count * fromRow)
    if (from === tensor.type) {
      await sink.write(bytes)
      continue
    }
    if (from === TENSOR_TYPES.I64) {
      await sink.write(narrowed(bytes))
      continue
    }
    const scales =
      from === TENSOR_TYPES.FP4_PACKED ? await groupScales(copy, source, begin, count) : wholeScales
    const to = new Uint8Array(count * toRow)
    converted(copy, source, { from: bytes, scales, to, rowBegin: begin, rows: count })
    await sink.write(to)
  }
}

function typeOf(source: TensorEntry): TensorType {
  const type = tensorTypeById(source.type)
  if (type === undefined)
    throw new ModelFileError(
      "UNSUPPORTED",
      `tensor ${source.name} has the unknown type ${source.type}`,
      { tensor: source.name },
    )
  return type
}

function rowBytes(type: TensorType, source: TensorEntry): number {
  const bytes = elementBytes(type, source.cols)
  if (bytes === undefined)
    throw new ModelFileError(
      "SHAPE",
      `tensor ${source.name} has rows of ${source.cols} values; ${type.name} needs a multiple ` +
        `of ${type.block}`,
      { tensor: source.name },
    )
  return bytes
}

function fileOf(copy: TensorCopy, index: number): ByteSource {
  const file = copy.files[index]
  if (file === undefined)
    throw new ModelFileError(
      "RANGE",
      `tensor ${copy.tensor.name} refers to file ${index} of ${copy.files.length}`,
      { tensor: copy.tensor.name },
    )
  return file
}

function groupScales(
  copy: TensorCopy,
  source: TensorEntry,
  begin: number,
  rows: number,
): Promise<Uint8Array> {
  const scaleRow = source.scaleBytes / (source.depth * source.rows)
  return fileOf(copy, source.scaleFile).read(source.scaleOffset + begin * scaleRow, rows * scaleRow)
}

/** The low word of each 64-bit entry; opening the model has checked that the high one is 0. */
function narrowed(bytes: Uint8Array): Uint8Array {
  const wide = new Int32Array(bytes.slice().buffer)
  const narrow = new Int32Array(wide.length / 2)
  for (let i = 0; i < narrow.length; i++) narrow[i] = wide[2 * i] ?? 0
  return new Uint8Array(narrow.buffer)
}

interface Piece {
  from: Uint8Array
  scales: Uint8Array | undefined
  to: Uint8Array
  rowBegin: number
  rows: number
}

function converted(copy: TensorCopy, source: TensorEntry, piece: Piece): void {
  try {
    copy.convert({
      ...piece,
      fromType: source.type,
      toType: copy.tensor.type.id,
      cols: source.cols,
    })
  } catch (error) {
    throw new ModelFileError(
      "VALUE",
      `tensor ${source.name} cannot be converted (` +
        `${error instanceof Error ? error.message : String(error)})`,
      { tensor: source.name, cause: error },
    )
  }
}
