import type { InputFile } from "../files/file-system.ts"
import { damaged, KvStoreError } from "../kv-store-error.ts"
import {
  checksumOf,
  FILE_KIND,
  FOOTER_BYTES,
  FOOTER_MAGIC,
  HEADER_BYTES,
  hexOf,
  KEY_BYTES,
  MAGIC,
  MOST_SECTIONS,
  SECTION,
  SECTION_FLAG,
  TABLE_ENTRY_BYTES,
  VERSION,
  viewOf,
  type FileKind,
  type SectionName,
} from "./layout.ts"

interface SectionPlace {
  readonly offset: number
  readonly length: number
  readonly checksum: bigint
}

export interface FileHead {
  readonly kind: FileKind
  /** First eight bytes of the compatibility id. */
  readonly compatibility: bigint
  /** 64 hexadecimal digits. */
  readonly key: string
  readonly fileBytes: number
  readonly sections: ReadonlyMap<SectionName, SectionPlace>
  /** Bytes of the file from its begin, enough for the small sections of most files. */
  readonly beginning: Uint8Array
}

const BEGINNING_BYTES = 16384
const NAMES: ReadonlyMap<number, SectionName> = new Map(
  Object.entries(SECTION).map(([name, kind]) => [kind, name as SectionName]),
)
const KINDS: ReadonlyMap<number, FileKind> = new Map(
  Object.entries(FILE_KIND).map(([name, kind]) => [kind, name as FileKind]),
)

const textAt = (bytes: Uint8Array, begin: number, length: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + begin, length).toString("latin1")

async function readWhole(
  file: InputFile,
  bytes: Uint8Array,
  position: number,
): Promise<Uint8Array> {
  const { length } = bytes
  const got = await file.read(bytes, position)
  if (got !== length) throw damaged(`ends at byte ${position + got}, ${length - got} too early`)
  return bytes
}

/** @returns the number of sections */
function checkHeader(bytes: Uint8Array, kind: FileKind): number {
  const view = viewOf(bytes)
  if (textAt(bytes, 0, MAGIC.length) !== MAGIC) throw damaged("does not begin with DS4KV")
  if (checksumOf(bytes.subarray(0, 56)) !== view.getBigUint64(56, true))
    throw damaged("has another checksum of its header than it says")
  const version = view.getUint16(6, true)
  if (version !== VERSION)
    throw new KvStoreError(
      "INCOMPATIBLE",
      `has version ${version}, expected ${VERSION}: another release of this program wrote it`,
    )
  const written = KINDS.get(view.getUint16(8, true))
  if (written !== kind) throw damaged(`is a ${written ?? "file of unknown kind"}, not a ${kind}`)
  const count = view.getUint16(10, true)
  if (count === 0 || count > MOST_SECTIONS)
    throw damaged(`has ${count} sections, expected 1 to ${MOST_SECTIONS}`)
  return count
}

function checkFooter(footer: Uint8Array, fileBytes: number, headChecksum: bigint): void {
  const view = viewOf(footer)
  if (textAt(footer, 16, 8) !== FOOTER_MAGIC) throw damaged("has no footer: it was never finished")
  if (view.getBigUint64(0, true) !== BigInt(fileBytes))
    throw damaged(`has ${fileBytes} bytes, its footer says ${view.getBigUint64(0, true)}`)
  if (view.getBigUint64(8, true) !== headChecksum)
    throw damaged("has another checksum of its section table than its footer says")
}

function readFooter(file: InputFile, beginning: Uint8Array): Uint8Array | Promise<Uint8Array> {
  if (beginning.length === file.bytes) return beginning.subarray(-FOOTER_BYTES)
  return readWhole(file, new Uint8Array(FOOTER_BYTES), file.bytes - FOOTER_BYTES)
}

/** Sections lie in the table's order, inside the file, and do not overlap. */
function readTable(table: Uint8Array, end: number): Map<SectionName, SectionPlace> {
  const view = viewOf(table)
  const sections = new Map<SectionName, SectionPlace>()
  let least = BigInt(HEADER_BYTES + table.length)
  for (let at = 0; at < table.length; at += TABLE_ENTRY_BYTES) {
    const kind = view.getUint16(at, true)
    const flags = view.getUint16(at + 2, true)
    const offset = view.getBigUint64(at + 8, true)
    const length = view.getBigUint64(at + 16, true)
    if (offset < least || offset + length > BigInt(end))
      throw damaged(`has section ${kind} at ${offset}, ${length} bytes, beyond its ${end} bytes`)
    least = offset + length
    const name = NAMES.get(kind)
    if (name === undefined && (flags & SECTION_FLAG.optional) !== 0) continue
    if (name === undefined) throw damaged(`has a section of unknown kind ${kind}`)
    if (sections.has(name)) throw damaged(`has two sections ${name}`)
    const checksum = view.getBigUint64(at + 24, true)
    sections.set(name, { offset: Number(offset), length: Number(length), checksum })
  }
  return sections
}

/**
 * Header, section table and footer, all checked; no section's content.
 *
 * @param buffer where the file's begin is read; if the file fits, sections lie in it
 * @throws KvStoreError DAMAGED; INCOMPATIBLE for another version
 */
export async function readFileHead(
  file: InputFile,
  kind: FileKind,
  buffer: Uint8Array = new Uint8Array(BEGINNING_BYTES),
): Promise<FileHead> {
  const fileBytes = file.bytes
  if (fileBytes < HEADER_BYTES + TABLE_ENTRY_BYTES + FOOTER_BYTES)
    throw damaged(`has ${fileBytes} bytes, too few for a header and a footer`)
  const beginning = await readWhole(file, buffer.subarray(0, fileBytes), 0)
  const count = checkHeader(beginning, kind)
  const headBytes = HEADER_BYTES + count * TABLE_ENTRY_BYTES
  if (fileBytes < headBytes + FOOTER_BYTES)
    throw damaged(`has ${fileBytes} bytes, too few for ${count} sections`)
  const footer = await readFooter(file, beginning)
  const head = beginning.subarray(0, headBytes)
  checkFooter(footer, fileBytes, checksumOf(head))
  return {
    kind,
    compatibility: viewOf(beginning).getBigUint64(16, true),
    key: hexOf(beginning.subarray(24, 24 + KEY_BYTES)),
    fileBytes,
    sections: readTable(head.subarray(HEADER_BYTES), fileBytes - FOOTER_BYTES),
    beginning,
  }
}

/** @throws KvStoreError DAMAGED when there is none */
export function sectionOf(head: FileHead, name: SectionName): SectionPlace {
  const place = head.sections.get(name)
  if (place === undefined) throw damaged(`has no section ${name}`)
  return place
}

/**
 * The content of a section, checked. Its length was checked against the file's before.
 *
 * @throws KvStoreError DAMAGED
 */
export async function readSection(
  file: InputFile,
  head: FileHead,
  name: SectionName,
): Promise<Uint8Array> {
  const { offset, length, checksum } = sectionOf(head, name)
  let bytes = head.beginning.subarray(offset, offset + length)
  if (bytes.length < length) {
    bytes = new Uint8Array(length)
    const got = await file.read(bytes, offset)
    if (got !== length) throw damaged(`ends within section ${name}`)
  }
  if (checksumOf(bytes) !== checksum)
    throw damaged(`has another checksum of section ${name} than it says`)
  return bytes
}
