import type { InputFile, OutputFile } from "../files/file-system.ts"
import { viewOf } from "../format/layout.ts"
import { damaged } from "../kv-store-error.ts"
import { encodeKvcHeader, KVC_HEADER_BYTES, readKvcHeader, type KvcHeader } from "./header.ts"
import {
  checkKvcCounts,
  KVC_SHAPE_BYTES,
  kvcPieces,
  readKvcShape,
  type KvcPiece,
  type KvcShape,
} from "./payload.ts"

/** A tool call as the model wrote it, by the id that the client knows. */
export interface KvcTool {
  readonly id: Uint8Array
  readonly block: Uint8Array
}

const TRAILER_MAGIC = "KTM\x01"
const TRAILER_HEAD_BYTES = 8
const ENTRY_HEAD_BYTES = 8
const MOST_ID_BYTES = 256
const MOST_TEXT_BYTES = 2 ** 28
const CHUNK_BYTES = 2 ** 22

/** An open version-1 file. Rows are read piece by piece, because a file may have 14 GB. */
export class KvcFile {
  private constructor(
    private readonly file: InputFile,
    readonly header: KvcHeader,
    /** The rendered text: bytes, control strings included. */
    readonly text: Uint8Array,
    readonly tools: readonly KvcTool[],
  ) {}

  /**
   * Reads header, text and trailer.
   *
   * @throws KvStoreError DAMAGED, INCOMPATIBLE
   */
  static async open(file: InputFile): Promise<KvcFile> {
    const header = readKvcHeader(await readAt(file, 0, Math.min(file.bytes, KVC_HEADER_BYTES)))
    const payloadEnd = KVC_HEADER_BYTES + header.textBytes + header.payloadBytes
    if (payloadEnd > file.bytes)
      throw damaged(`has ${file.bytes} bytes, its text and payload end at ${payloadEnd}`)
    if (header.textBytes > MOST_TEXT_BYTES) throw damaged(`has ${header.textBytes} bytes of text`)
    const rest = file.bytes - payloadEnd
    if (!header.flags.hasTools && rest > 0)
      throw damaged(`has ${rest} bytes behind its payload, and no flag for a trailer`)
    if (rest > MOST_TEXT_BYTES) throw damaged(`has a trailer of ${rest} bytes`)
    const text = await readAt(file, KVC_HEADER_BYTES, header.textBytes)
    const tools = header.flags.hasTools ? readTrailer(await readAt(file, payloadEnd, rest)) : []
    return new KvcFile(file, header, text, tools)
  }

  private get payloadBegin(): number {
    return KVC_HEADER_BYTES + this.header.textBytes
  }

  /** The shape of the payload, whose length and row counts follow from it. @throws DAMAGED */
  async shape(): Promise<KvcShape> {
    const { payloadBytes } = this.header
    const length = Math.min(payloadBytes, KVC_SHAPE_BYTES)
    const shape = readKvcShape(await readAt(this.file, this.payloadBegin, length), payloadBytes)
    const pieces = kvcPieces(shape)
    for (const name of ["compressed", "indexer"] as const) {
      const piece = pieces.find((each) => each.name === `${name} counts`)
      if (piece !== undefined) checkKvcCounts(shape, name, await this.piece(piece))
    }
    return shape
  }

  /** The bytes of a piece that `kvcPieces` gave for this file's shape. */
  piece({ offset, length }: KvcPiece): Promise<Uint8Array> {
    if (offset + length > this.header.payloadBytes)
      throw new RangeError("the piece lies outside of the payload")
    return readAt(this.file, this.payloadBegin + offset, length)
  }

  /** The whole payload as it is, in chunks. */
  async *payload(): AsyncGenerator<Uint8Array, void, undefined> {
    const { payloadBytes } = this.header
    for (let at = 0; at < payloadBytes; at += CHUNK_BYTES)
      yield await readAt(
        this.file,
        this.payloadBegin + at,
        Math.min(CHUNK_BYTES, payloadBytes - at),
      )
  }
}

async function readAt(file: InputFile, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  const got = await file.read(bytes, position)
  if (got !== length) throw damaged(`ends at byte ${position + got}, ${length - got} too early`)
  return bytes
}

function readTrailer(bytes: Uint8Array): KvcTool[] {
  const magic = Buffer.from(bytes.subarray(0, 4)).toString("latin1")
  if (bytes.length < TRAILER_HEAD_BYTES || magic !== TRAILER_MAGIC)
    throw damaged("has a flag for a trailer and none that begins with KTM and version 1")
  const view = viewOf(bytes)
  const count = view.getUint32(4, true)
  if (count > (bytes.length - TRAILER_HEAD_BYTES) / ENTRY_HEAD_BYTES)
    throw damaged(`says ${count} tool calls in a trailer of ${bytes.length} bytes`)
  const tools: KvcTool[] = []
  let at = TRAILER_HEAD_BYTES
  for (let index = 0; index < count; index++) {
    if (at + ENTRY_HEAD_BYTES > bytes.length) throw damaged("has a trailer that ends early")
    const [idBytes, blockBytes] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
    const idBegin = at + ENTRY_HEAD_BYTES
    at = idBegin + idBytes + blockBytes
    if (idBytes > MOST_ID_BYTES || at > bytes.length)
      throw damaged(
        `has a tool call with an id of ${idBytes} bytes and ${blockBytes} bytes of text`,
      )
    tools.push({
      id: bytes.slice(idBegin, idBegin + idBytes),
      block: bytes.slice(idBegin + idBytes, at),
    })
  }
  if (at !== bytes.length) throw damaged(`has ${bytes.length - at} bytes behind its trailer`)
  return tools
}

function encodeTrailer(tools: readonly KvcTool[]): Uint8Array {
  const head = new Uint8Array(TRAILER_HEAD_BYTES)
  head.set(Buffer.from(TRAILER_MAGIC, "latin1"))
  viewOf(head).setUint32(4, tools.length, true)
  const entries = tools.flatMap(({ id, block }) => {
    if (id.length > MOST_ID_BYTES)
      throw new RangeError(`a tool call's id has ${id.length} bytes, at most ${MOST_ID_BYTES} fit`)
    const lengths = new Uint8Array(ENTRY_HEAD_BYTES)
    viewOf(lengths).setUint32(0, id.length, true)
    viewOf(lengths).setUint32(4, block.length, true)
    return [lengths, id, block]
  })
  return Buffer.concat([head, ...entries])
}

export interface KvcContent {
  /** Its lengths of text and payload, and whether there are tools, follow from the rest. */
  readonly header: Omit<KvcHeader, "textBytes">
  readonly text: Uint8Array
  /** So many bytes as the header says. */
  readonly payload: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
  readonly tools: readonly KvcTool[]
}

/**
 * Writes a version-1 file; the caller syncs it.
 *
 * @throws RangeError when the payload has another length than the header says
 */
export async function writeKvcFile(output: OutputFile, content: KvcContent): Promise<void> {
  const { text, tools } = content
  const { payloadBytes } = content.header
  await output.write(encodeKvcHeader({ ...content.header, textBytes: text.length }), 0)
  if (text.length > 0) await output.write(text, KVC_HEADER_BYTES)
  let at = KVC_HEADER_BYTES + text.length
  const end = at + payloadBytes
  for await (const chunk of content.payload) {
    if (at + chunk.length > end) throw new RangeError(`the payload has over ${payloadBytes} bytes`)
    await output.write(chunk, at)
    at += chunk.length
  }
  if (at !== end) throw new RangeError(`the payload ends ${end - at} bytes early`)
  if (content.header.flags.hasTools) await output.write(encodeTrailer(tools), end)
  else if (tools.length > 0) throw new RangeError("tool calls are given, and no flag for them")
}
