import { damaged, KvStoreError } from "../kv-store-error.ts"
import { viewOf } from "../format/layout.ts"

/** Why a file was written, by its number. */
export const KVC_REASONS = [
  "unknown",
  "cold",
  "continued",
  "evict",
  "shutdown",
  "agent system",
  "agent session",
] as const

/** The first 52 bytes of a version-1 `.kv` file: docs/formats/kvc.md. */
export interface KvcHeader {
  /** Bits of the routed experts' quantisation: 2, 4, or 0 for unknown. */
  readonly quantisationBits: number
  /** A number of `KVC_REASONS`; a later one is kept as it is. */
  readonly reason: number
  readonly flags: KvcFlags
  /** Tokens that the state holds. */
  readonly tokens: number
  readonly hits: number
  /** Context size of the session that wrote it. */
  readonly context: number
  /** Unix seconds. */
  readonly created: bigint
  /** Unix seconds. */
  readonly lastUsed: bigint
  readonly payloadBytes: number
  readonly textBytes: number
  /** Byte 7 and bytes 20 to 23, which the format leaves zero. */
  readonly reserved: readonly [number, number]
}

export interface KvcFlags {
  readonly hasTools: boolean
  /** The text is what a Responses client sends back. */
  readonly isResponsesKey: boolean
  /** The text is the prompt without reasoning. */
  readonly isThinkingKey: boolean
  /** Bits 3 to 7. */
  readonly others: number
}

export const KVC_HEADER_BYTES = 52
const MAGIC = "KVC"
const VERSION = 1

const flagsOf = (byte: number): KvcFlags => ({
  hasTools: (byte & 1) !== 0,
  isResponsesKey: (byte & 2) !== 0,
  isThinkingKey: (byte & 4) !== 0,
  others: byte >> 3,
})

const byteOf = ({ hasTools, isResponsesKey, isThinkingKey, others }: KvcFlags): number =>
  Number(hasTools) | (Number(isResponsesKey) << 1) | (Number(isThinkingKey) << 2) | (others << 3)

/**
 * @param bytes at least 52
 * @throws KvStoreError DAMAGED; INCOMPATIBLE for another version
 */
export function readKvcHeader(bytes: Uint8Array): KvcHeader {
  if (bytes.length < KVC_HEADER_BYTES)
    throw damaged(`has ${bytes.length} bytes, too few for a header of ${KVC_HEADER_BYTES}`)
  if (Buffer.from(bytes.subarray(0, 3)).toString("latin1") !== MAGIC)
    throw damaged("does not begin with KVC")
  if (bytes[3] !== VERSION)
    throw new KvStoreError("INCOMPATIBLE", `has version ${bytes[3]}, expected ${VERSION}`)
  const view = viewOf(bytes)
  const payloadBytes = view.getBigUint64(40, true)
  if (payloadBytes > BigInt(Number.MAX_SAFE_INTEGER))
    throw damaged(`says that its payload has ${payloadBytes} bytes`)
  return {
    quantisationBits: view.getUint8(4),
    reason: view.getUint8(5),
    flags: flagsOf(view.getUint8(6)),
    tokens: view.getUint32(8, true),
    hits: view.getUint32(12, true),
    context: view.getUint32(16, true),
    created: view.getBigUint64(24, true),
    lastUsed: view.getBigUint64(32, true),
    payloadBytes: Number(payloadBytes),
    textBytes: view.getUint32(48, true),
    reserved: [view.getUint8(7), view.getUint32(20, true)],
  }
}

export function encodeKvcHeader(header: KvcHeader): Uint8Array {
  const bytes = new Uint8Array(KVC_HEADER_BYTES)
  const view = viewOf(bytes)
  bytes.set(Buffer.from(MAGIC, "latin1"))
  view.setUint8(3, VERSION)
  view.setUint8(4, header.quantisationBits)
  view.setUint8(5, header.reason)
  view.setUint8(6, byteOf(header.flags))
  view.setUint8(7, header.reserved[0])
  view.setUint32(8, header.tokens, true)
  view.setUint32(12, header.hits, true)
  view.setUint32(16, header.context, true)
  view.setUint32(20, header.reserved[1], true)
  view.setBigUint64(24, header.created, true)
  view.setBigUint64(32, header.lastUsed, true)
  view.setBigUint64(40, BigInt(header.payloadBytes), true)
  view.setUint32(48, header.textBytes, true)
  return bytes
}
