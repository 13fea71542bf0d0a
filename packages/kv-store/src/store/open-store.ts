import { BufferPool } from "../files/buffer-pool.ts"
import { DiskFiles } from "../files/disk.ts"
import type { FileSystem } from "../files/file-system.ts"
import { TEMPORARY } from "../files/publish.ts"
import {
  compatibilityId,
  compatibilityPrefix,
  type Compatibility,
} from "../format/compatibility.ts"
import { Catalog } from "../index/catalog.ts"
import { UseLog } from "../index/use-log.ts"
import { KvStoreError } from "../kv-store-error.ts"
import { FlockLock } from "../lock/flock.ts"
import type { FolderLock } from "../lock/folder-lock.ts"
import { openFolder } from "./open-folder.ts"
import { makeLog } from "./room.ts"
import { CHECKPOINTS, QUARANTINE, SEGMENTS, type StoreContext } from "./store-context.ts"
import { scanFolder, synchronize } from "./synchronize.ts"

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
    buffers: new BufferPool(),
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
    writing: new Map(),
  }
}

export const lockedOut = (waitMs: number): KvStoreError =>
  new KvStoreError(
    "LOCKED",
    `another process kept the store's folder for ${waitMs} ms: wait for it, or name another folder`,
  )

/** How long opening waits to be alone. A large save by another process takes longer. */
const ALONE_WAIT_MS = 1000

/** Left-over temporary files go, and a log is made, if nobody else is at work in the folder. */
async function tidyFolder(store: StoreContext): Promise<void> {
  const { files, lock, lockWaitMs } = store
  using alone = await lock.acquire("alone", Math.min(ALONE_WAIT_MS, lockWaitMs))
  if (alone === undefined) return
  for (const name of await files.list(TEMPORARY)) await files.remove(`${TEMPORARY}/${name}`)
  await makeLog(store)
}

/** The index, from the heads of all files. */
async function load(store: StoreContext): Promise<void> {
  const { files, lock, lockWaitMs } = store
  for (const folder of [TEMPORARY, QUARANTINE, SEGMENTS, CHECKPOINTS])
    await files.makeFolder(folder)
  await tidyFolder(store)
  using shared = await lock.acquire("write", lockWaitMs)
  if (shared === undefined) throw lockedOut(lockWaitMs)
  await scanFolder(store)
  await synchronize(store)
}

/** @throws KvStoreError FOLDER, LOCKED */
export async function openStore(options: KvStoreOptions): Promise<StoreContext> {
  const store = contextOf(options)
  if (options.files === undefined) await openFolder(options.folder, store.log)
  await load(store)
  return store
}
