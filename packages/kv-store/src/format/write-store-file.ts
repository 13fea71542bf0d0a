import type { OutputFile } from "../files/file-system.ts"
import { KvStoreError } from "../kv-store-error.ts"
import {
  ALIGNMENT,
  checksumOf,
  FILE_KIND,
  FOOTER_BYTES,
  FOOTER_MAGIC,
  HEADER_BYTES,
  MAGIC,
  roundUp,
  SECTION,
  SECTION_FLAG,
  TABLE_ENTRY_BYTES,
  VERSION,
  viewOf,
  type FileKind,
  type SectionName,
} from "./layout.ts"

/** A section before it is written: its length is known, its bytes are made when it is its turn. */
export interface SectionSource {
  readonly name: SectionName
  readonly length: number
  readonly isOptional?: boolean
  /** Whether it begins at a multiple of 4096, as sections of rows do. */
  readonly isAligned?: boolean
  read(): Uint8Array
}

export const sectionOfBytes = (
  name: SectionName,
  bytes: Uint8Array,
  options: { isOptional?: boolean; isAligned?: boolean } = {},
): SectionSource => ({ name, length: bytes.length, ...options, read: () => bytes })

export interface FileIdentity {
  readonly kind: FileKind
  readonly compatibility: bigint
  readonly key: Uint8Array
}

interface Plan {
  readonly offsets: readonly number[]
  readonly end: number
}

function planOf(sections: readonly SectionSource[]): Plan {
  let end = HEADER_BYTES + sections.length * TABLE_ENTRY_BYTES
  const offsets = sections.map(({ length, isAligned }) => {
    const offset = roundUp(end, isAligned === true ? ALIGNMENT : 8)
    end = offset + length
    return offset
  })
  return { offsets, end: roundUp(end, 8) }
}

/** Bytes of a file with these sections. */
export const storeFileBytes = (sections: readonly SectionSource[]): number =>
  planOf(sections).end + FOOTER_BYTES

function headOf(
  { kind, compatibility, key }: FileIdentity,
  sections: readonly SectionSource[],
  offsets: readonly number[],
  checksums: readonly bigint[],
): Uint8Array {
  const head = new Uint8Array(HEADER_BYTES + sections.length * TABLE_ENTRY_BYTES)
  const view = viewOf(head)
  head.set(Buffer.from(MAGIC, "latin1"))
  view.setUint16(6, VERSION, true)
  view.setUint16(8, FILE_KIND[kind], true)
  view.setUint16(10, sections.length, true)
  view.setBigUint64(16, compatibility, true)
  head.set(key, 24)
  view.setBigUint64(56, checksumOf(head.subarray(0, 56)), true)
  for (const [index, { name, length, isOptional }] of sections.entries()) {
    const at = HEADER_BYTES + index * TABLE_ENTRY_BYTES
    view.setUint16(at, SECTION[name], true)
    view.setUint16(at + 2, isOptional === true ? SECTION_FLAG.optional : 0, true)
    view.setBigUint64(at + 8, BigInt(offsets[index] ?? 0), true)
    view.setBigUint64(at + 16, BigInt(length), true)
    view.setBigUint64(at + 24, checksums[index] ?? 0n, true)
  }
  return head
}

function footerOf(head: Uint8Array, fileBytes: number): Uint8Array {
  const footer = new Uint8Array(FOOTER_BYTES)
  viewOf(footer).setBigUint64(0, BigInt(fileBytes), true)
  viewOf(footer).setBigUint64(8, checksumOf(head), true)
  footer.set(Buffer.from(FOOTER_MAGIC, "latin1"), 16)
  return footer
}

/**
 * Writes a file whole; the caller syncs it. Never holds more than a section, and lets other work
 * run between two.
 *
 * @throws KvStoreError ARGUMENT when a section gives another number of bytes than it said
 */
export async function writeStoreFile(
  file: OutputFile,
  identity: FileIdentity,
  sections: readonly SectionSource[],
): Promise<void> {
  const { offsets, end } = planOf(sections)
  const checksums: bigint[] = []
  for (const [index, section] of sections.entries()) {
    const bytes = section.read()
    if (bytes.length !== section.length)
      throw new KvStoreError(
        "ARGUMENT",
        `section ${section.name} has ${bytes.length} bytes, ${section.length} were announced`,
      )
    checksums.push(checksumOf(bytes))
    if (bytes.length > 0) await file.write(bytes, offsets[index] ?? 0)
  }
  const head = headOf(identity, sections, offsets, checksums)
  await file.write(head, 0)
  await file.write(footerOf(head, end + FOOTER_BYTES), end)
}
