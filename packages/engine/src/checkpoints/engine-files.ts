import { KvStoreError, type CheckpointListing, type Verification } from "@ds4/kv-store"
import type { Checkpoints, SavedMark } from "./checkpoints.ts"
import type { KvFiles, SavedAs, StateSaved } from "./kv-files.ts"

/** A session that holds the longest beginning of a prompt that is in memory. */
interface StateLease<M extends SavedMark> {
  readonly session: { mark(): M }
  readonly cachedTokens: number
  readonly heldTokens: Int32Array
  release(): void
}

/** The error of a prompt that was not read before its state was to be saved. */
export const notInMemory = (): KvStoreError =>
  new KvStoreError("ARGUMENT", "no state of this prompt is in memory: there is nothing to save")

/** An engine's states on disk, beside those in memory. */
export class EngineFiles<M extends SavedMark> implements KvFiles {
  /** @param acquire undefined: the engine closes */
  constructor(
    private readonly checkpoints: Checkpoints<M>,
    private readonly acquire: (prompt: Int32Array) => Promise<StateLease<M> | undefined>,
  ) {}

  async list(): Promise<CheckpointListing[]> {
    await this.checkpoints.files.refresh()
    return this.checkpoints.files.list()
  }

  async remove(key: string): Promise<void> {
    await this.checkpoints.files.remove(key)
  }

  async verify(): Promise<Verification> {
    return await this.checkpoints.files.verify()
  }

  async gc(): Promise<{ files: number; bytes: number }> {
    return await this.checkpoints.files.gc()
  }

  async save(prompt: readonly number[], as: SavedAs): Promise<StateSaved> {
    const tokens = Int32Array.from(prompt)
    const lease = await this.acquire(tokens)
    const covered = lease?.cachedTokens ?? 0
    let mark: M | undefined
    try {
      mark = covered > 0 ? lease?.session.mark() : undefined
    } finally {
      lease?.release()
    }
    if (lease === undefined || mark === undefined) throw notInMemory()
    try {
      const shown = tokens.subarray(0, covered)
      const held = lease.heldTokens
      return { ...(await this.checkpoints.saveAs(mark, { held, shown, ...as })), tokens: covered }
    } finally {
      mark.close()
    }
  }

  async load(key: string): Promise<{ tokens: number }> {
    return { tokens: await this.checkpoints.loadByKey(key) }
  }
}
