// Saved states of the fake engine: lists of tokens in a map, which outlast nothing.
import { KvStoreError, type CheckpointListing, type StoreStats } from "@ds4/kv-store"
import { notInMemory } from "../checkpoints/engine-files.ts"
import type { KvFiles, SavedAs, StateSaved } from "../checkpoints/kv-files.ts"

interface FakeLease {
  readonly cachedTokens: number
  readonly heldTokens: Int32Array
  release(): void
}

interface SavedState {
  readonly held: Int32Array
  readonly shown: Int32Array
  readonly listing: CheckpointListing
}

export class FakeFiles implements KvFiles {
  /** The next call rejects with it. */
  fault: Error | undefined
  private readonly states = new Map<string, SavedState>()

  constructor(
    private readonly acquire: (prompt: Int32Array) => Promise<FakeLease | undefined>,
    private readonly keep: (held: Int32Array, shown: Int32Array) => void,
  ) {}

  get stats(): StoreStats {
    return {
      checkpoints: this.states.size,
      segments: 0,
      bytes: [...this.states.values()].reduce((sum, { listing }) => sum + listing.bytes, 0),
      budgetBytes: 2 ** 30,
      pausedUntil: undefined,
      pendingSaves: 0,
      saves: this.states.size,
      refusals: 0,
      bytesWritten: 0,
      loads: 0,
      bytesRead: 0,
      evictions: 0,
      damagedFiles: 0,
    }
  }

  async list(): Promise<readonly CheckpointListing[]> {
    this.throwFault()
    return [...this.states.values()].map(({ listing }) => listing)
  }

  async remove(key: string): Promise<void> {
    this.state(key)
    this.states.delete(key)
  }

  async verify(): Promise<{ files: number; bytes: number; damaged: [] }> {
    this.throwFault()
    return { files: this.states.size, bytes: this.stats.bytes, damaged: [] }
  }

  async gc(): Promise<{ files: number; bytes: number }> {
    this.throwFault()
    return { files: 0, bytes: 0 }
  }

  async save(prompt: readonly number[], as: SavedAs): Promise<StateSaved> {
    this.throwFault()
    const lease = await this.acquire(Int32Array.from(prompt))
    lease?.release()
    const tokens = lease?.cachedTokens ?? 0
    if (lease === undefined || tokens === 0) throw notInMemory()
    const shown = Int32Array.from(prompt.slice(0, tokens))
    const held = lease.heldTokens
    const key = new Bun.CryptoHasher("sha256").update(shown).digest("hex")
    this.states.set(key, { held, shown, listing: listingOf(key, held, tokens, as) })
    return { saved: true, key, bytesWritten: 4 * held.length, segmentsWritten: 0, tokens }
  }

  async load(key: string): Promise<{ tokens: number }> {
    const { held, shown } = this.state(key)
    this.keep(held, shown)
    return { tokens: shown.length }
  }

  private state(key: string): SavedState {
    this.throwFault()
    const found = this.states.get(key)
    if (found === undefined) throw new KvStoreError("MISSING", `there is no checkpoint ${key}`)
    return found
  }

  private throwFault(): void {
    const { fault } = this
    this.fault = undefined
    if (fault !== undefined) throw fault
  }
}

function listingOf(
  key: string,
  { length: position }: Int32Array,
  tokens: number,
  { label, preview }: SavedAs,
): CheckpointListing {
  const bytes = 4 * position
  const made = { created: Date.now(), lastUsed: undefined, uses: 0, reason: "saved", label }
  const sizes = { tokens, position, isExact: tokens === position, bytes, ownBytes: bytes }
  return { key, ...sizes, ...made, model: "fake", preview, value: 1, isUsable: true }
}
