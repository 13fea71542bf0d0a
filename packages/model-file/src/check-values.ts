// Checks values, which means reading data. Opening a model checks every vector, table and FP8
// scale, and all of a small model. In Flash these are 20 MB, most of it three routing tables. Its
// 33,792 FP4 scale tensors hold 8.7 GB, and GGUF blocks hold their scales among 80 GB of codes.
// Reading those would make opening as slow as the disk: `verifyModelFile` does it on demand. The
// engine refuses a NaN scale when it converts or packs one.
import type { ByteSource, FileAccess } from "./byte-source.ts"
import { diskFiles } from "./byte-source.ts"
import type { ModelFile } from "./model-file.ts"
import { ModelFileError } from "./model-file-error.ts"
import type { TensorEntry } from "./tensor-table.ts"
import { TENSOR_TYPES, tensorTypeById, type TensorType } from "./tensor-types.ts"

/** A model of at most this many bytes is verified whole when it is opened: a tenth of a second. */
const VERIFY_AT_OPEN_BYTES = 64 * 2 ** 20
/** Read size of a scan: a multiple of every block size times eight, so that no block is split. */
const CHUNK_BLOCKS = 2 ** 16

interface VerifyOptions {
  /** Called after each piece that was read; bytes of the model looked at so far and in all. */
  readonly onProgress?: (checkedBytes: number, totalBytes: number) => void
  readonly access?: FileAccess
  readonly signal?: AbortSignal
}

/**
 * Reads every weight and checks that it decodes to finite numbers. No code, scale or value may be
 * NaN, and every entry of a routing table must be an expert. Reading is sequential and as fast as
 * the disk; memory use does not depend on the model's size.
 * @throws ModelFileError VALUE, naming the tensor and the index.
 */
export async function verifyModelFile(file: ModelFile, options: VerifyOptions = {}): Promise<void> {
  const sources = await openSources(file, options.access ?? diskFiles)
  const totalBytes = file.tensors.reduce((sum, tensor) => sum + tensor.bytes + tensor.scaleBytes, 0)
  let doneBytes = 0
  for (const tensor of file.tensors) {
    const tensorBytes = tensor.bytes + tensor.scaleBytes
    let checkedBytes = 0
    const onPiece = (bytes: number): void => {
      options.signal?.throwIfAborted()
      checkedBytes += bytes
      if (checkedBytes < tensorBytes) options.onProgress?.(doneBytes + checkedBytes, totalBytes)
    }
    onPiece(0)
    await checkScales(tensor, sources, file, onPiece)
    await checkContents(tensor, sources, file, onPiece)
    doneBytes += tensorBytes
    options.onProgress?.(doneBytes, totalBytes)
  }
}

/** The checks of openModelFile: see the head of this file. */
export async function checkSmallValues(file: ModelFile, access: FileAccess): Promise<void> {
  const totalBytes = file.tensors.reduce((sum, tensor) => sum + tensor.bytes + tensor.scaleBytes, 0)
  if (totalBytes <= VERIFY_AT_OPEN_BYTES) return verifyModelFile(file, { access })
  const sources = await openSources(file, access)
  for (const tensor of file.tensors) {
    if (tensor.type === TENSOR_TYPES.F8_E4M3.id) await checkScales(tensor, sources, file)
    else if (tensor.rows === 1 || tensor.kind === "ROUTER_TABLE")
      await checkContents(tensor, sources, file)
  }
}

const openSources = (file: ModelFile, access: FileAccess): Promise<ByteSource[]> =>
  Promise.all(file.files.map(({ path }) => access.open(path)))

function sourceOf(sources: readonly ByteSource[], index: number, file: ModelFile): ByteSource {
  const source = sources[index]
  if (source === undefined)
    throw new ModelFileError(
      "RANGE",
      `file ${index} of the tensor table does not exist; there are ${sources.length}`,
      { path: file.path },
    )
  return source
}

/** E8M0 scales in a tensor of their own: 255 is NaN. */
async function checkScales(
  tensor: TensorEntry,
  sources: readonly ByteSource[],
  file: ModelFile,
  onPiece?: (bytes: number) => void,
): Promise<void> {
  if (tensor.scaleBytes === 0) return
  const source = sourceOf(sources, tensor.scaleFile, file)
  await scan(source, tensor.scaleOffset, tensor.scaleBytes, 64, (bytes, begin) => {
    const at = bytes.indexOf(E8M0_NAN)
    if (at >= 0) throw badValue(tensor, `has a NaN scale (E8M0 255) at index ${begin + at}`, source)
    onPiece?.(bytes.length)
  })
}

const E8M0_NAN = 255

async function checkContents(
  tensor: TensorEntry,
  sources: readonly ByteSource[],
  file: ModelFile,
  onPiece?: (bytes: number) => void,
): Promise<void> {
  const type = tensorTypeById(tensor.type)
  if (type === undefined) return
  const source = sourceOf(sources, tensor.file, file)
  const fault = faultFinder(tensor, type, file.config.experts)
  if (fault === undefined) return
  await scan(source, tensor.offset, tensor.bytes, type.blockBytes, (bytes, begin) => {
    const found = fault(bytes, begin / type.blockBytes)
    if (found !== undefined) throw badValue(tensor, found, source)
    onPiece?.(bytes.length)
  })
}

function badValue(tensor: TensorEntry, message: string, source: ByteSource): ModelFileError {
  return new ModelFileError(
    "VALUE",
    `tensor ${tensor.name} ${message}; the file is damaged or was converted badly`,
    { path: source.path, tensor: tensor.name },
  )
}

/** Gives the bytes of a range to `visit` in whole blocks, with their position in the range. */
async function scan(
  source: ByteSource,
  offset: number,
  bytes: number,
  blockBytes: number,
  visit: (bytes: Uint8Array, begin: number) => void,
): Promise<void> {
  const chunkBytes = Math.max(1, Math.floor((CHUNK_BLOCKS * 64) / blockBytes)) * blockBytes
  for (let begin = 0; begin < bytes; begin += chunkBytes) {
    visit(await source.read(offset + begin, Math.min(chunkBytes, bytes - begin)), begin)
  }
}

/**
 * Looks at whole blocks and describes the first fault; `firstBlock` is the index of the first one
 * given.
 */
type FaultFinder = (bytes: Uint8Array, firstBlock: number) => string | undefined

function faultFinder(
  tensor: TensorEntry,
  type: TensorType,
  experts: number,
): FaultFinder | undefined {
  switch (type) {
    case TENSOR_TYPES.I32:
      return (bytes, first) => tableFault(new Int32Array(aligned(bytes, 4)), 1, first, experts)
    case TENSOR_TYPES.I64:
      return (bytes, first) => tableFault(new Int32Array(aligned(bytes, 8)), 2, first, experts)
    case TENSOR_TYPES.F32: {
      // A sink of minus infinity switches the sink off and is legal.
      const infinite = tensor.kind === "ATTN_SINKS" ? 0xff800000 : undefined
      return (bytes, first) =>
        exponentFault(new Uint32Array(aligned(bytes, 4)), 0x7f800000, first, infinite)
    }
    case TENSOR_TYPES.F16:
      return (bytes, first) => exponentFault(new Uint16Array(aligned(bytes, 2)), 0x7c00, first)
    case TENSOR_TYPES.BF16:
      return (bytes, first) => exponentFault(new Uint16Array(aligned(bytes, 2)), 0x7f80, first)
    case TENSOR_TYPES.F8_E4M3:
      return (bytes, first) => codeFault(bytes, first)
    default:
      return type.scales.length === 0 ? undefined : (bytes, first) => scaleFault(bytes, type, first)
  }
}

/**
 * The bytes as a buffer that a wider typed array may view. Hosts are little-endian, as the files
 * are.
 */
function aligned(bytes: Uint8Array, width: number): ArrayBuffer {
  if (
    bytes.byteOffset % width === 0 &&
    bytes.buffer instanceof ArrayBuffer &&
    bytes.byteOffset === 0 &&
    bytes.buffer.byteLength === bytes.byteLength
  )
    return bytes.buffer
  return bytes.slice().buffer
}

/** Entries of `words` 32-bit words, the lowest first: the others must be 0. */
function tableFault(
  words: Int32Array,
  stride: number,
  first: number,
  experts: number,
): string | undefined {
  for (let i = 0; i < words.length; i += stride) {
    const low = words[i] ?? 0
    const high = stride === 2 ? (words[i + 1] ?? 0) : 0
    if (low >= 0 && low < experts && high === 0) continue
    const value = stride === 2 ? BigInt(high) * 2n ** 32n + BigInt(low >>> 0) : low
    return `holds the expert ${value} at index ${first + i / stride}; expected 0 to ${experts - 1}`
  }
  return undefined
}

/** Floats whose exponent bits are all ones are infinite or NaN. */
function exponentFault(
  words: Uint32Array | Uint16Array,
  mask: number,
  first: number,
  allowed?: number,
): string | undefined {
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? 0
    if ((word & mask) >>> 0 === mask && word !== allowed)
      return `holds a value that is not finite (bits 0x${word.toString(16)}) at index ${first + i}`
  }
  return undefined
}

/** E4M3 has two NaN codes, 0x7f and 0xff. */
function codeFault(bytes: Uint8Array, first: number): string | undefined {
  const at = [bytes.indexOf(0x7f), bytes.indexOf(0xff)].filter((index) => index >= 0)
  return at.length === 0 ? undefined : `holds a NaN code at index ${first + Math.min(...at)}`
}

function scaleFault(bytes: Uint8Array, type: TensorType, first: number): string | undefined {
  for (const { kind, offset } of type.scales) {
    const at = kind === "e8m0" ? offset : offset + 1 // the high byte of an f16 holds its exponent
    const mask = kind === "e8m0" ? E8M0_NAN : 0x7c
    for (let i = at; i < bytes.length; i += type.blockBytes) {
      if (((bytes[i] ?? 0) & mask) === mask)
        return `has a scale that is not finite in block ${first + (i - at) / type.blockBytes}`
    }
  }
  return undefined
}
