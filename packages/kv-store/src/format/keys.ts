import { breath } from "../breath.ts"
import { bytesOfIds, KEY_BYTES, PAGE_ID_BYTES, PAGE_TOKENS, viewOf } from "./layout.ts"

/** The key of a segment: BLAKE2b-256 of the key before it (first: the compatibility id) and ids. */
export function segmentKey(previous: Uint8Array, pageIds: Uint8Array): Uint8Array {
  const hash = new Bun.CryptoHasher("blake2b256")
  return new Uint8Array(hash.update(previous).update(pageIds).digest())
}

/** Keys of all whole pages of these token ids, 32 bytes each. */
export async function segmentChain(root: Uint8Array, held: Int32Array): Promise<Uint8Array> {
  const pages = Math.floor(held.length / PAGE_TOKENS)
  const chain = new Uint8Array(pages * KEY_BYTES)
  const bytes = bytesOfIds(held)
  let previous = root
  for (let page = 0; page < pages; page++) {
    if (page % 128 === 127) await breath()
    previous = segmentKey(
      previous,
      bytes.subarray(page * PAGE_ID_BYTES, (page + 1) * PAGE_ID_BYTES),
    )
    chain.set(previous, page * KEY_BYTES)
  }
  return chain
}

interface CheckpointIds {
  readonly root: Uint8Array
  /** Keys of the whole pages. */
  readonly chain: Uint8Array
  /** Ids that the state holds behind its last whole page. */
  readonly heldTail: Uint8Array
  /** Ids at the beginning that are shown as they are held. */
  readonly common: number
  /** Bytes of the shown ids behind those. */
  readonly shownRest: Uint8Array
}

/** The key of a checkpoint: what it holds and how it is shown. */
export function checkpointKey(ids: CheckpointIds): Uint8Array {
  const counts = new Uint8Array(8)
  viewOf(counts).setUint32(0, ids.heldTail.length, true)
  viewOf(counts).setUint32(4, ids.common, true)
  const last = ids.chain.length === 0 ? ids.root : ids.chain.subarray(-KEY_BYTES)
  const hash = new Bun.CryptoHasher("blake2b256")
  hash.update("checkpoint\0").update(last).update(counts)
  return new Uint8Array(hash.update(ids.heldTail).update(ids.shownRest).digest())
}

/** XXH3 of each whole block of 2,048 shown ids. A lookup needs speed; reading checks the ids. */
export function shownHashes(shown: Int32Array): BigUint64Array {
  const bytes = bytesOfIds(shown)
  const hashes = new BigUint64Array(Math.floor(shown.length / PAGE_TOKENS))
  for (let block = 0; block < hashes.length; block++) hashes[block] = blockHash(bytes, block)
  return hashes
}

export const blockHash = (idBytes: Uint8Array, block: number): bigint =>
  Bun.hash.xxHash3(idBytes.subarray(block * PAGE_ID_BYTES, (block + 1) * PAGE_ID_BYTES))
