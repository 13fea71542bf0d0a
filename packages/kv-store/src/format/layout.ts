// The layout of docs/formats/kv-store.md. All numbers are little-endian.

export const VERSION = 1
export const MAGIC = "DS4KV\0"
export const FOOTER_MAGIC = "DS4KVEND"
export const KEY_BYTES = 32
export const HEADER_BYTES = 64
export const TABLE_ENTRY_BYTES = 32
export const FOOTER_BYTES = 24
/** Sections of rows begin at multiples of it. */
export const ALIGNMENT = 4096
export const MOST_SECTIONS = 16
/** Tokens of a page, and so of a segment. */
export const PAGE_TOKENS = 2048
export const PAGE_ID_BYTES = 4 * PAGE_TOKENS

export const FILE_KIND = { segment: 1, checkpoint: 2 } as const
export type FileKind = keyof typeof FILE_KIND

export const SECTION = {
  page: 1,
  shape: 2,
  chain: 3,
  shownHashes: 4,
  shownTail: 5,
  ancestors: 6,
  info: 7,
  shownIds: 8,
  text: 9,
  attachment: 10,
  header: 11,
  lastPage: 12,
  recentRows: 13,
} as const
export type SectionName = keyof typeof SECTION

export const SECTION_FLAG = { optional: 1 } as const

export const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step

export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** XXH3, 64 bits, seed 0. */
export const checksumOf = (bytes: Uint8Array): bigint => Bun.hash.xxHash3(bytes)

export const hexOf = (bytes: Uint8Array): string => bytes.toHex()

/** The bytes of token ids, without a copy. */
export const bytesOfIds = (ids: Int32Array): Uint8Array =>
  new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength)

/** Token ids from bytes at any offset. */
export const idsOfBytes = (bytes: Uint8Array): Int32Array =>
  new Int32Array(bytes.slice(0, bytes.length - (bytes.length % 4)).buffer)

export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && Buffer.compare(a, b) === 0
