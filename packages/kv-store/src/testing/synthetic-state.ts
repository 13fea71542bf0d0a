import { PAGE_TOKENS, viewOf } from "../format/layout.ts"
import type { Compatibility } from "../format/compatibility.ts"
import type { StateSource } from "../store/save-plan.ts"

export const TEST_MODEL: Compatibility = { model: 0x1234567890abcdefn, numerics: 4, tokenizer: "t" }

/** Bytes that follow from a number, and look like rows. */
function pseudoRandomBytes(length: number, seed: bigint | number): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = Number(BigInt(seed) & 0xffffffffn) | 1
  for (let i = 0; i < length; i++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9
    bytes[i] = state >>> 24
  }
  return bytes
}

export interface SyntheticOptions {
  readonly bytesPerToken?: number
  readonly recentBytes?: number
  readonly compatibility?: Compatibility
}

/**
 * A state in the layout of docs/formats/snapshot.md, without an engine: its rows follow from its
 * token ids, so the same beginning gives the same pages. Region checksums are left zero.
 */
export class SyntheticState implements StateSource {
  readonly regionBytes: readonly number[]
  private readonly pages: number
  private readonly settings: Required<SyntheticOptions>

  constructor(
    readonly ids: Int32Array,
    options: SyntheticOptions = {},
  ) {
    this.settings = { bytesPerToken: 4, recentBytes: 600, compatibility: TEST_MODEL, ...options }
    this.pages = Math.ceil(ids.length / PAGE_TOKENS)
    const { bytesPerToken, recentBytes } = this.settings
    this.regionBytes = [
      48,
      ...Array.from(
        { length: this.pages },
        (_, page) => this.pageIds(page).length * (4 + bytesPerToken) + 8,
      ),
      recentBytes,
    ]
  }

  get position(): number {
    return this.ids.length
  }

  private pageIds(page: number): Int32Array {
    return this.ids.subarray(page * PAGE_TOKENS, (page + 1) * PAGE_TOKENS)
  }

  private header(): Uint8Array {
    const bytes = new Uint8Array(48)
    const view = viewOf(bytes)
    bytes.set(Buffer.from("DS4SEQ\0"))
    bytes[7] = 2
    const total = this.regionBytes.reduce((sum, each) => sum + each, 0)
    view.setBigUint64(8, BigInt(total), true)
    view.setBigUint64(16, this.settings.compatibility.model, true)
    view.setUint32(24, this.settings.compatibility.numerics, true)
    view.setUint32(28, this.ids.length, true)
    view.setUint32(32, PAGE_TOKENS, true)
    return bytes
  }

  /** Rows follow from all ids up to the end of the region. */
  private rows(length: number, end: number): Uint8Array {
    return pseudoRandomBytes(length, Bun.hash.xxHash3(this.ids.slice(0, end)))
  }

  readRegion(region: number): Uint8Array {
    if (region === 0) return this.header()
    const length = this.regionBytes[region] ?? 0
    if (region === this.pages + 1) return this.rows(length, this.ids.length)
    const ids = this.pageIds(region - 1).slice()
    const bytes = new Uint8Array(length)
    bytes.set(new Uint8Array(ids.buffer))
    bytes.set(
      this.rows(length - 4 * ids.length, (region - 1) * PAGE_TOKENS + ids.length),
      4 * ids.length,
    )
    return bytes
  }

  /** All regions in a row. */
  snapshot(): Uint8Array {
    return Buffer.concat(this.regionBytes.map((_, region) => this.readRegion(region)))
  }
}

/** The chunks of a read in one piece; each is copied, because it is valid only for its turn. */
export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk.slice())
  return Buffer.concat(parts)
}

/** Token ids that follow from a seed. */
export function tokenIds(length: number, seed: number): Int32Array {
  const bytes = pseudoRandomBytes(2 * length, BigInt(seed) * 2654435761n)
  return Int32Array.from({ length }, (_, i) => (bytes[2 * i] ?? 0) * 256 + (bytes[2 * i + 1] ?? 0))
}

/** The first ids, and then others. */
export function withOther(ids: Int32Array, from: number, length: number, seed: number): Int32Array {
  const result = new Int32Array(from + length)
  result.set(ids.subarray(0, from))
  result.set(tokenIds(length, seed), from)
  return result
}
