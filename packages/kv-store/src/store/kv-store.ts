import { isExact, type Checkpoint } from "../index/catalog.ts"
import { KvStoreError } from "../kv-store-error.ts"
import type { LockMode } from "../lock/folder-lock.ts"
import { explainMiss, type Divergence } from "./explain-miss.ts"
import { listingOf, matchOf, type CheckpointListing, type Match } from "./listing.ts"
import { lockedOut, openStore, type KvStoreOptions } from "./open-store.ts"
import { readCheckpoint, readExtra, type ReadOptions, readShown } from "./read-checkpoint.ts"
import { Removal } from "./removal.ts"
import { compactLog, makeRoom, tidyLog } from "./room.ts"
import type { SaveRequest, StateSource } from "./save-plan.ts"
import type { SaveResult } from "./save-checkpoint.ts"
import { SaveQueue } from "./save-queue.ts"
import type { StoreContext, StoreCounts } from "./store-context.ts"
import { scanFolder, synchronize } from "./synchronize.ts"
import { verifyStore, type Verification } from "./verify.ts"

export interface LookupOptions {
  /** Only those of more tokens: what the caller has already. */
  readonly above?: number
  /** Only those that hold exactly what they show. */
  readonly exact?: boolean
}

export interface StoreStats extends Readonly<StoreCounts> {
  readonly checkpoints: number
  readonly segments: number
  readonly bytes: number
  readonly budgetBytes: number
  /** Unix milliseconds until which saving pauses after the disk failed. */
  readonly pausedUntil: number | undefined
  readonly pendingSaves: number
}

/**
 * Checkpoints of conversations in one folder. Several processes may share it: all of them read and
 * write, and whoever removes files waits until it is alone.
 */
export class KvStore {
  private readonly saves: SaveQueue
  private isClosed = false

  private constructor(private readonly store: StoreContext) {
    this.saves = new SaveQueue(store)
  }

  /**
   * @throws KvStoreError FOLDER for one that cannot be used, or that others may read; LOCKED when
   *   another process keeps it
   */
  static async open(options: KvStoreOptions): Promise<KvStore> {
    return new KvStore(await openStore(options))
  }

  private get context(): StoreContext {
    if (this.isClosed) throw new KvStoreError("CLOSED", "the KV store is closed")
    return this.store
  }

  private checkpoint(key: string): Checkpoint {
    const found = this.context.catalog.checkpoints.get(key)
    if (found === undefined) throw new KvStoreError("MISSING", `there is no checkpoint ${key}`)
    return found
  }

  /** The longest checkpoint that leaves at least one token of the prompt to process. */
  lookup(prompt: Int32Array, options: LookupOptions = {}): Match | undefined {
    const { above = 0, exact = false } = options
    for (const each of this.context.catalog.prefixesOf(prompt)) {
      if (each.head.tokens <= above) return undefined
      if (each.head.tokens < prompt.length && (!exact || isExact(each))) return matchOf(each)
    }
    return undefined
  }

  /**
   * Where a prompt leaves the checkpoint that it agrees with for longest, for logs. It reads ids
   * from disk where the index has only their hash. Undefined where nothing agrees at all.
   *
   * @throws KvStoreError DAMAGED, LOCKED; an error of the disk
   */
  async explain(prompt: Int32Array): Promise<Divergence | undefined> {
    return this.locked("read", (store) => explainMiss(store, prompt))
  }

  /** Whether prompts may find it: it is there, whole, and of this model. */
  has(key: string): boolean {
    const { catalog } = this.context
    const found = catalog.checkpoints.get(key)
    return found !== undefined && catalog.isListed(found)
  }

  /**
   * Writes what the folder does not hold yet. The state must stay as it is until this settles. At
   * most two run at once, others wait. Errors of the disk pause saving for a minute.
   *
   * @throws KvStoreError ARGUMENT, INCOMPATIBLE, CLOSED; whatever the state throws
   */
  async save(state: StateSource, request: SaveRequest): Promise<SaveResult> {
    void this.context
    return this.saves.save(state, request)
  }

  /**
   * The snapshot in chunks for `MarkHandle.import`, each valid until the next is asked for.
   *
   * @throws KvStoreError DAMAGED, MISSING, MISMATCH, INCOMPATIBLE: look up again, it is no longer
   *   found; LOCKED; CLOSED
   */
  read(key: string, options?: ReadOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const checkpoint = this.checkpoint(key)
    if (!this.context.catalog.isListed(checkpoint))
      throw new KvStoreError(
        "INCOMPATIBLE",
        `checkpoint ${key} is of another model, tokenizer or numerics, or lacks a segment`,
      )
    return readCheckpoint(this.context, checkpoint, options)
  }

  /** The rendered text with which it was saved, if any. @throws KvStoreError DAMAGED, MISSING */
  async text(key: string): Promise<string | undefined> {
    const bytes = await this.extra(key, "text")
    return bytes && Buffer.from(bytes).toString()
  }

  /** The bytes that the caller saved with it, if any. @throws KvStoreError DAMAGED, MISSING */
  async attachment(key: string): Promise<Uint8Array | undefined> {
    return this.extra(key, "attachment")
  }

  /**
   * The ids by which prompts show it. A mark of its snapshot tells those that it holds.
   *
   * @throws KvStoreError DAMAGED, MISSING, LOCKED
   */
  async shown(key: string, held: Int32Array): Promise<Int32Array> {
    const checkpoint = this.checkpoint(key)
    return this.locked("read", (store) => readShown(store, checkpoint, held))
  }

  private async extra(key: string, name: "text" | "attachment"): Promise<Uint8Array | undefined> {
    const checkpoint = this.checkpoint(key)
    return this.locked("read", (store) => readExtra(store, checkpoint, name))
  }

  /** Keeps it from eviction by this process until disposed. @throws KvStoreError MISSING */
  pin(key: string): Disposable {
    const { pins } = this.checkpoint(key)
    pins.count++
    let isPinned = true
    return {
      [Symbol.dispose]: () => {
        if (isPinned) pins.count--
        isPinned = false
      },
    }
  }

  /** All checkpoints of the folder, those of other models too; the last made first. */
  list(): CheckpointListing[] {
    const store = this.context
    return [...store.catalog.checkpoints.values()]
      .map((each) => listingOf(store, each))
      .toSorted((a, b) => b.created - a.created)
  }

  /** Hears what other processes of the folder did. */
  async refresh(): Promise<void> {
    await this.locked("write", synchronize)
  }

  /** Removes a checkpoint, a labelled one too. @throws KvStoreError MISSING, LOCKED */
  async remove(key: string): Promise<void> {
    await this.locked("alone", async (store) => {
      await synchronize(store)
      const removal = new Removal(store)
      removal.add(this.checkpoint(key))
      await removal.run()
    })
  }

  /** Recomputes every checksum. Damaged files move to quarantine. @throws KvStoreError LOCKED */
  async verify(): Promise<Verification> {
    return this.locked("write", async (store) => {
      await synchronize(store)
      return verifyStore(store)
    })
  }

  /**
   * Removes what no lookup can ever find, then keeps budget and free space.
   *
   * @returns files and bytes that went
   */
  async gc(): Promise<{ files: number; bytes: number }> {
    const swept = await this.locked("alone", async (store) => {
      await synchronize(store)
      await scanFolder(store)
      const removal = new Removal(store)
      for (const each of store.catalog.checkpoints.values())
        if (each.missing > 0 && each.pins.count === 0) removal.add(each)
      removal.addUnusedSegments()
      await removal.run()
      await compactLog(store)
      return removal
    })
    const before = this.store.catalog.bytes
    await makeRoom(this.store, 0)
    const files = swept.checkpoints.length + swept.segments.length
    return { files, bytes: swept.bytes + before - this.store.catalog.bytes }
  }

  get stats(): StoreStats {
    const { catalog, counts, budgetBytes } = this.store
    return {
      ...counts,
      checkpoints: catalog.checkpoints.size,
      segments: catalog.segments.size,
      bytes: catalog.bytes,
      budgetBytes,
      pausedUntil: this.saves.pausedUntil,
      pendingSaves: this.saves.pending,
    }
  }

  /** Waits for saves that were begun, and compacts a long log. Idempotent. */
  async close(): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    await this.saves.idle()
    await tidyLog(this.store)
    this.store.buffers.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  private async locked<T>(mode: LockMode, work: (store: StoreContext) => Promise<T>): Promise<T> {
    const store = this.context
    using lock = await store.lock.acquire(mode, store.lockWaitMs)
    if (lock === undefined) throw lockedOut(store.lockWaitMs)
    return await work(store) // without await the lock would be let go at once
  }
}
