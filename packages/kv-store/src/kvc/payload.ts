import { idsOfBytes, bytesOfIds, viewOf } from "../format/layout.ts"
import { damaged } from "../kv-store-error.ts"

/** The thirteen numbers with which a payload begins, magic and version aside. */
export interface KvcShape {
  readonly context: number
  readonly prefillChunk: number
  readonly rawCapacity: number
  readonly rawWindow: number
  readonly compressedCapacity: number
  readonly tokens: number
  readonly layers: number
  readonly headDimension: number
  readonly indexerDimension: number
  readonly vocabulary: number
  /** Rows of the window that are there: min(tokens, window). */
  readonly rawRows: number
}

/** A piece of a payload, in the order in which pieces stand; all but the counts are f32. */
export interface KvcPiece {
  readonly name: KvcPieceName
  /** Undefined for what belongs to no layer. */
  readonly layer: number | undefined
  /** Bytes from the payload's begin. */
  readonly offset: number
  readonly length: number
}
type KvcPieceName =
  | "shape"
  | "token ids"
  | "logits"
  | "compressed counts"
  | "indexer counts"
  | "raw rows"
  | "compressed rows"
  | "pooling values"
  | "pooling scores"
  | "indexer rows"
  | "indexer values"
  | "indexer scores"

const MAGIC = 0x34565344 // "DSV4"
const VERSION = 1
export const KVC_SHAPE_BYTES = 52
const MOST_LAYERS = 1024

/** Tokens that one compressed row stands for; 0 in layers without such rows. */
export const kvcRatio = (layer: number): 0 | 4 | 128 => (layer < 2 ? 0 : layer % 2 === 0 ? 4 : 128)

/** Rows by layer: all windows of `ratio` tokens that are closed. */
const closedRows = (tokens: number, ratio: number): number =>
  ratio === 0 ? 0 : Math.floor(tokens / ratio)

/** Values by layer, in the order in which they stand. */
function layerPieces(shape: KvcShape, layer: number): [KvcPieceName, number][] {
  const { tokens, headDimension, indexerDimension, rawRows } = shape
  const ratio = kvcRatio(layer)
  const pieces: [KvcPieceName, number][] = [["raw rows", rawRows * headDimension]]
  if (ratio === 0) return pieces
  // Windows of ratio 4 overlap, so their state has two halves.
  const halves = ratio === 4 ? 2 : 1
  const state = (dimension: number): number => halves * ratio * halves * dimension
  const rows = closedRows(tokens, ratio)
  pieces.push(
    ["compressed rows", rows * headDimension],
    ["pooling values", state(headDimension)],
    ["pooling scores", state(headDimension)],
  )
  if (ratio === 4)
    pieces.push(
      ["indexer rows", rows * indexerDimension],
      ["indexer values", state(indexerDimension)],
      ["indexer scores", state(indexerDimension)],
    )
  return pieces
}

/** All pieces of a payload; the last one ends where it ends. */
export function kvcPieces(shape: KvcShape): KvcPiece[] {
  const pieces: KvcPiece[] = []
  let offset = 0
  const add = (name: KvcPieceName, length: number, layer?: number): void => {
    pieces.push({ name, layer, offset, length })
    offset += length
  }
  add("shape", KVC_SHAPE_BYTES)
  add("token ids", 4 * shape.tokens)
  add("logits", 4 * shape.vocabulary)
  add("compressed counts", 4 * shape.layers)
  add("indexer counts", 4 * shape.layers)
  for (let layer = 0; layer < shape.layers; layer++)
    for (const [name, values] of layerPieces(shape, layer)) add(name, 4 * values, layer)
  return pieces
}

export function kvcPayloadBytes(shape: KvcShape): number {
  const last = kvcPieces(shape).at(-1)
  return last === undefined ? 0 : last.offset + last.length
}

/**
 * @param bytes the payload's first 52
 * @param payloadBytes of the whole payload: it must follow from the numbers
 * @throws KvStoreError DAMAGED
 */
export function readKvcShape(bytes: Uint8Array, payloadBytes: number): KvcShape {
  if (bytes.length < KVC_SHAPE_BYTES || payloadBytes < KVC_SHAPE_BYTES)
    throw damaged(`has a payload of ${payloadBytes} bytes, too few for its shape`)
  const view = viewOf(bytes)
  const at = (index: number): number => view.getUint32(4 * index, true)
  if (at(0) !== MAGIC || at(1) !== VERSION)
    throw damaged("has a payload that does not begin with DSV4 and version 1")
  const shape: KvcShape = {
    context: at(2),
    prefillChunk: at(3),
    rawCapacity: at(4),
    rawWindow: at(5),
    compressedCapacity: at(6),
    tokens: at(7),
    layers: at(8),
    headDimension: at(9),
    indexerDimension: at(10),
    vocabulary: at(11),
    rawRows: at(12),
  }
  if (shape.layers > MOST_LAYERS) throw damaged(`has a payload of ${shape.layers} layers`)
  if (shape.rawRows !== Math.min(shape.tokens, shape.rawWindow))
    throw damaged(
      `has ${shape.rawRows} raw rows, its ${shape.tokens} tokens in a window of ` +
        `${shape.rawWindow} need another number`,
    )
  const expected = kvcPayloadBytes(shape)
  if (expected !== payloadBytes)
    throw damaged(`has a payload of ${payloadBytes} bytes, ${expected} follow from its shape`)
  return shape
}

export function encodeKvcShape(shape: KvcShape): Uint8Array {
  const bytes = new Uint8Array(KVC_SHAPE_BYTES)
  const numbers = [
    MAGIC,
    VERSION,
    shape.context,
    shape.prefillChunk,
    shape.rawCapacity,
    shape.rawWindow,
    shape.compressedCapacity,
    shape.tokens,
    shape.layers,
    shape.headDimension,
    shape.indexerDimension,
    shape.vocabulary,
    shape.rawRows,
  ]
  for (const [index, each] of numbers.entries()) viewOf(bytes).setUint32(4 * index, each, true)
  return bytes
}

/** Row counts of all layers, as they stand in "compressed counts" or "indexer counts". */
export function encodeKvcCounts(shape: KvcShape, name: "compressed" | "indexer"): Uint8Array {
  const counts = Int32Array.from({ length: shape.layers }, (_, layer) => {
    const ratio = kvcRatio(layer)
    return name === "indexer" && ratio !== 4 ? 0 : closedRows(shape.tokens, ratio)
  })
  return bytesOfIds(counts)
}

/** @throws KvStoreError DAMAGED when the counts are not those that follow from the tokens */
export function checkKvcCounts(
  shape: KvcShape,
  name: "compressed" | "indexer",
  bytes: Uint8Array,
): void {
  const expected = encodeKvcCounts(shape, name)
  if (Buffer.compare(bytes, expected) === 0) return
  const counts = idsOfBytes(bytes)
  const wanted = idsOfBytes(expected)
  const layer = counts.findIndex((count, index) => count !== wanted[index])
  throw damaged(
    `has ${counts[layer]} ${name} rows in layer ${layer}, ${wanted[layer]} follow from its tokens`,
  )
}
