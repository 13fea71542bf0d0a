// The figures of states in memory and on disk, as JSON has them.
import type { EngineStats, PrefixCacheStats } from "@ds4/engine"

export type KvStoreFigures = NonNullable<EngineStats["kvStore"]>

/** The members that only rise. */
export const COUNTED: ReadonlySet<string> = new Set([
  "hits",
  "misses",
  "evictions",
  "saves",
  "refusals",
  "loads",
  "bytes_written",
  "bytes_read",
  "damaged_files",
])

export function prefixCacheJson({ budgetBytes, ...rest }: PrefixCacheStats) {
  return { ...rest, budget_bytes: budgetBytes }
}

export function kvStoreJson(stats: KvStoreFigures) {
  return {
    checkpoints: stats.checkpoints,
    segments: stats.segments,
    bytes: stats.bytes,
    budget_bytes: stats.budgetBytes,
    pending_saves: stats.pendingSaves,
    saves: stats.saves,
    refusals: stats.refusals,
    loads: stats.loads,
    bytes_written: stats.bytesWritten,
    bytes_read: stats.bytesRead,
    evictions: stats.evictions,
    damaged_files: stats.damagedFiles,
  }
}
