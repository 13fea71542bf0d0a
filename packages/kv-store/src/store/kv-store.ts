import { DiskFiles } from "../files/disk.ts"
import type { FileSystem } from "../files/file-system.ts"
import { TEMPORARY } from "../files/publish.ts"
import {
  compatibilityId,
  compatibilityPrefix,
  type Compatibility,
} from "../format/compatibility.ts"
import { Catalog, isExact, type Checkpoint } from "../index/catalog.ts"
import { UseLog } from "../index/use-log.ts"
import { KvStoreError } from "../kv-store-error.ts"
import { FlockLock } from "../lock/flock.ts"
import type { FolderLock, LockMode } from "../lock/folder-lock.ts"
import { listingOf, matchOf, type CheckpointListing, type Match } from "./listing.ts"
import { openFolder } from "./open-folder.ts"
import { readCheckpoint, readExtra, type ReadOptions } from "./read-checkpoint.ts"
import { Removal } from "./removal.ts"
import { compactLog, makeRoom } from "./room.ts"
import type { SaveRequest, StateSource } from "./save-plan.ts"
import type { SaveResult } from "./save-checkpoint.ts"
import { SaveQueue } from "./save-queue.ts"
import {
  CHECKPOINTS,
  QUARANTINE,
  SEGMENTS,
  type StoreContext,
  type StoreCounts,
} from "./store-context.ts"
import { scanFolder, synchronize } from "./synchronize.ts"
import { verifyStore, type Verification } from "./verify.ts"

export interface KvStoreOptions {
  readonly folder: string
  readonly compatibility: Compatibility
  /** Most bytes of all files. */
  readonly budgetBytes: number
  /** Bytes of the disk that stay free; 5 GiB unless given. */
  readonly minimumFreeBytes?: number
  /** The measured rate, for the value of a checkpoint. */
  readonly prefillTokensPerSecond?: () => number
  /** One line for each problem; nothing of any conversation. */
  readonly log?: (line: string) => void
  /** Unix milliseconds. */
  readonly now?: () => number
  /** How long an operation waits for other processes; 10 s unless given. */
  readonly lockWaitMs?: number
  /** In place of the folder's own. */
  readonly files?: FileSystem
  readonly lock?: FolderLock
}

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

const LEAST_FREE_BYTES = 5 * 2 ** 30

function contextOf(options: KvStoreOptions): StoreContext {
  const { folder, compatibility } = options
  const files = options.files ?? new DiskFiles(folder)
  const root = compatibilityId(compatibility)
  return {
    files,
    lock: options.lock ?? new FlockLock(folder),
    catalog: new Catalog(compatibilityPrefix(root)),
    uses: new UseLog(files),
    compatibility,
    root,
    budgetBytes: options.budgetBytes,
    minimumFreeBytes: options.minimumFreeBytes ?? LEAST_FREE_BYTES,
    prefillTokensPerSecond: options.prefillTokensPerSecond ?? (() => 100),
    lockWaitMs: options.lockWaitMs ?? 10_000,
    log: options.log ?? (() => undefined),
    now: options.now ?? Date.now,
    counts: {
      saves: 0,
      refusals: 0,
      bytesWritten: 0,
      loads: 0,
      bytesRead: 0,
      evictions: 0,
      damagedFiles: 0,
    },
    spared: new Set(),
  }
}

/** Folders, left-over temporary files, the log; then the index from the heads of all files. */
async function load(store: StoreContext): Promise<void> {
  const { files, lock, lockWaitMs } = store
  using alone = await lock.acquire("alone", lockWaitMs)
  if (alone === undefined)
    throw new KvStoreError(
      "LOCKED",
      `another process kept the folder for ${lockWaitMs} ms: wait for it, or name another folder`,
    )
  for (const folder of [TEMPORARY, QUARANTINE, SEGMENTS, CHECKPOINTS])
    await files.makeFolder(folder)
  for (const name of await files.list(TEMPORARY)) await files.remove(`${TEMPORARY}/${name}`)
  await scanFolder(store)
  await synchronize(store)
  await compactLog(store)
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
    if (options.files === undefined)
      await openFolder(options.folder, options.log ?? (() => undefined))
    const store = contextOf(options)
    await load(store)
    return new KvStore(store)
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

  /** Waits for saves that were begun. Idempotent. */
  async close(): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    await this.saves.idle()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  private async locked<T>(mode: LockMode, work: (store: StoreContext) => Promise<T>): Promise<T> {
    const store = this.context
    using lock = await store.lock.acquire(mode, store.lockWaitMs)
    if (lock === undefined)
      throw new KvStoreError("LOCKED", `another process kept the folder for ${store.lockWaitMs} ms`)
    return await work(store) // without await the lock would be let go at once
  }
}
