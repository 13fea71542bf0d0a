import { KvStoreError } from "../kv-store-error.ts"
import { PAGE_TOKENS, viewOf } from "./layout.ts"

/** All that must agree before one program may take another's rows. */
export interface Compatibility {
  /** Identity of the model, from a snapshot's header. */
  readonly model: bigint
  /** Numerics, from a snapshot's header. */
  readonly numerics: number
  /** A hash of the vocabulary, merges and control tokens, in any spelling. */
  readonly tokenizer: string
}

interface SnapshotHeader {
  /** Bytes of the whole snapshot. */
  readonly bytes: bigint
  readonly model: bigint
  readonly numerics: number
  /** Tokens that the state holds. */
  readonly tokens: number
}

const SNAPSHOT_MAGIC = "DS4SEQ\0"
const SNAPSHOT_VERSION = 2
const SNAPSHOT_HEADER_BYTES = 48

/**
 * Reads region 0 of a snapshot (docs/formats/snapshot.md).
 *
 * @throws KvStoreError INCOMPATIBLE for another format, version or page size
 */
export function readSnapshotHeader(region: Uint8Array): SnapshotHeader {
  const refuse = (message: string): never => {
    throw new KvStoreError("INCOMPATIBLE", `the snapshot's header ${message}`)
  }
  if (region.length !== SNAPSHOT_HEADER_BYTES)
    return refuse(`has ${region.length} bytes, expected ${SNAPSHOT_HEADER_BYTES}`)
  const view = viewOf(region)
  if (Buffer.from(region.subarray(0, 7)).toString("latin1") !== SNAPSHOT_MAGIC)
    return refuse("does not begin with DS4SEQ")
  if (region[7] !== SNAPSHOT_VERSION)
    return refuse(`has version ${region[7]}, expected ${SNAPSHOT_VERSION}`)
  if (view.getUint32(32, true) !== PAGE_TOKENS)
    return refuse(`has pages of ${view.getUint32(32, true)} tokens, expected ${PAGE_TOKENS}`)
  return {
    bytes: view.getBigUint64(8, true),
    model: view.getBigUint64(16, true),
    numerics: view.getUint32(24, true),
    tokens: view.getUint32(28, true),
  }
}

/** The compatibility of an engine, from the header of any snapshot that it makes. */
export function compatibilityOf(headerRegion: Uint8Array, tokenizer: string): Compatibility {
  const { model, numerics } = readSnapshotHeader(headerRegion)
  return { model, numerics, tokenizer }
}

/** BLAKE2b-256 over everything that decides: the root of every chain of keys. */
export function compatibilityId({ model, numerics, tokenizer }: Compatibility): Uint8Array {
  const numbers = new Uint8Array(20)
  const view = viewOf(numbers)
  view.setBigUint64(0, model, true)
  view.setUint32(8, numerics, true)
  view.setUint32(12, SNAPSHOT_VERSION, true)
  view.setUint32(16, PAGE_TOKENS, true)
  const hash = new Bun.CryptoHasher("blake2b256")
  hash.update("ds4 kv store 1\0").update(numbers).update(tokenizer)
  return new Uint8Array(hash.digest())
}

export const compatibilityPrefix = (id: Uint8Array): bigint => viewOf(id).getBigUint64(0, true)
