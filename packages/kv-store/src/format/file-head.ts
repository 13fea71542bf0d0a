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

async function readWhole(file: InputFile, length: number, position: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
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
 * @param beginning the file's begin with the whole table at least
 * @param footer its last 24 bytes
 * @throws KvStoreError DAMAGED; INCOMPATIBLE for another version
 */
function headOf(
  kind: FileKind,
  beginning: Uint8Array,
  footer: Uint8Array,
  fileBytes: number,
): FileHead {
  const count = checkHeader(beginning, kind)
  const headBytes = HEADER_BYTES + count * TABLE_ENTRY_BYTES
  if (fileBytes < headBytes + FOOTER_BYTES)
    throw damaged(`has ${fileBytes} bytes, too few for ${count} sections`)
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

function checkSize(fileBytes: number): void {
  if (fileBytes < HEADER_BYTES + TABLE_ENTRY_BYTES + FOOTER_BYTES)
    throw damaged(`has ${fileBytes} bytes, too few for a header and a footer`)
}

/** The head of a file that lies on disk. @throws KvStoreError DAMAGED, INCOMPATIBLE */
export async function readFileHead(file: InputFile, kind: FileKind): Promise<FileHead> {
  const { bytes } = file
  checkSize(bytes)
  const beginning = await readWhole(file, Math.min(bytes, BEGINNING_BYTES), 0)
  const footer = await readWhole(file, FOOTER_BYTES, bytes - FOOTER_BYTES)
  return headOf(kind, beginning, footer, bytes)
}

/** The head of a file that lies in memory whole. @throws KvStoreError DAMAGED, INCOMPATIBLE */
export function fileHeadOf(file: Uint8Array, kind: FileKind): FileHead {
  checkSize(file.length)
  return headOf(kind, file, file.subarray(-FOOTER_BYTES), file.length)
}

/** @throws KvStoreError DAMAGED when there is none */
export function sectionOf(head: FileHead, name: SectionName): SectionPlace {
  const place = head.sections.get(name)
  if (place === undefined) throw damaged(`has no section ${name}`)
  return place
}

function checked(bytes: Uint8Array, name: SectionName, checksum: bigint): Uint8Array {
  if (checksumOf(bytes) === checksum) return bytes
  throw damaged(`has another checksum of section ${name} than it says`)
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
  if (offset + length <= head.beginning.length) return sectionIn(head, name)
  const bytes = new Uint8Array(length)
  const got = await file.read(bytes, offset)
  if (got !== length) throw damaged(`ends within section ${name}`)
  return checked(bytes, name, checksum)
}

/** The content of a section that lies in the bytes which the head was read from, checked. */
export function sectionIn(head: FileHead, name: SectionName): Uint8Array {
  const { offset, length, checksum } = sectionOf(head, name)
  return checked(head.beginning.subarray(offset, offset + length), name, checksum)
}
