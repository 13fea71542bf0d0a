import type { BufferPool } from "../files/buffer-pool.ts"
import type { FileSystem } from "../files/file-system.ts"
import type { Compatibility } from "../format/compatibility.ts"
import type { Catalog } from "../index/catalog.ts"
import type { UseLog } from "../index/use-log.ts"
import type { FolderLock } from "../lock/folder-lock.ts"

/** Counts since the store was opened. */
export interface StoreCounts {
  saves: number
  /** Saves that were refused: paused, no room, a failed write. */
  refusals: number
  bytesWritten: number
  loads: number
  bytesRead: number
  /** Checkpoints that made room for others. */
  evictions: number
  /** Files whose bytes were not those that were written. */
  damagedFiles: number
}

/** State that the operations of one open store share. */
export interface StoreContext {
  readonly files: FileSystem
  readonly lock: FolderLock
  readonly catalog: Catalog
  readonly uses: UseLog
  readonly buffers: BufferPool
  readonly compatibility: Compatibility
  /** The compatibility id: root of the chains of keys. */
  readonly root: Uint8Array
  readonly budgetBytes: number
  readonly minimumFreeBytes: number
  readonly prefillTokensPerSecond: () => number
  readonly lockWaitMs: number
  readonly log: (line: string) => void
  /** Unix milliseconds. */
  readonly now: () => number
  readonly counts: StoreCounts
  /** Keys of the segments and checkpoints that saves in flight will need. */
  readonly spared: Set<string>
  /** Segments that are being written; false when that failed. */
  readonly writing: Map<string, Promise<boolean>>
}

export const SEGMENTS = "segments"
export const CHECKPOINTS = "checkpoints"
export const QUARANTINE = "quarantine"

export const segmentName = (key: string): string => `${SEGMENTS}/${key}.seg`
export const checkpointName = (key: string): string => `${CHECKPOINTS}/${key}.ckpt`

/** The key in a file's name; undefined for files that are not the store's. */
export const keyOfName = (name: string): string | undefined =>
  /^([0-9a-f]{64})\.(?:seg|ckpt)$/.exec(name)?.[1]
