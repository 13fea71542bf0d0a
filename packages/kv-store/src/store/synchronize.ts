import type { Checkpoint } from "../index/catalog.ts"
import type { UseRecord } from "../index/use-log.ts"
import { loadCheckpoints, loadSegments } from "./load-files.ts"
import {
  checkpointName,
  CHECKPOINTS,
  keyOfName,
  SEGMENTS,
  segmentName,
  type StoreContext,
} from "./store-context.ts"

async function keysIn(store: StoreContext, folder: string): Promise<Set<string>> {
  const names = await store.files.list(folder)
  return new Set(names.map(keyOfName).filter((key) => key !== undefined))
}

/** Compares the catalog with the folder. The caller holds the lock. */
export async function scanFolder(store: StoreContext): Promise<void> {
  const { catalog } = store
  // A checkpoint is published after its segments, so its list comes first.
  const checkpoints = await keysIn(store, CHECKPOINTS)
  const segments = await keysIn(store, SEGMENTS)
  for (const key of catalog.checkpoints.keys())
    if (!checkpoints.has(key)) catalog.removeCheckpoint(key)
  for (const [key, { bytes }] of catalog.segments)
    if (bytes !== undefined && !segments.has(key)) catalog.loseSegment(key)
  await loadSegments(
    store,
    [...segments].filter((key) => catalog.segments.get(key)?.bytes === undefined),
  )
  await loadCheckpoints(
    store,
    [...checkpoints].filter((key) => !catalog.checkpoints.has(key)),
  )
}

/** A checkpoint that another process removed, and segments that went with it. */
async function forget(store: StoreContext, checkpoint: Checkpoint): Promise<void> {
  const { key } = checkpoint.head
  if ((await store.files.stat(checkpointName(key))) !== undefined) return
  store.catalog.removeCheckpoint(key)
  for (const segment of checkpoint.chain)
    if (
      segment.users.size === 0 &&
      (await store.files.stat(segmentName(segment.key))) === undefined
    )
      store.catalog.loseSegment(segment.key)
}

async function apply(store: StoreContext, record: UseRecord): Promise<void> {
  const checkpoint = store.catalog.checkpoints.get(record.key)
  // A time to come is a clock that went back since.
  const time = Math.min(record.time, store.now())
  switch (record.kind) {
    case "add":
      if (checkpoint === undefined) await loadCheckpoints(store, [record.key])
      return
    case "remove":
      if (checkpoint !== undefined) await forget(store, checkpoint)
      return
    case "use":
      return checkpoint?.uses.add(time)
    case "sum":
      if (record.sum >= 0) checkpoint?.uses.reset(record.sum, time, record.total)
  }
}

/** Hears what other processes did, from the log. The caller holds the lock. */
export async function synchronize(store: StoreContext): Promise<void> {
  const { isNew, records } = await store.uses.read()
  if (isNew) {
    await scanFolder(store)
    for (const { uses } of store.catalog.checkpoints.values()) uses.reset()
  }
  // Files of a new log were just scanned.
  const news = isNew ? records.filter(({ kind }) => kind === "use" || kind === "sum") : records
  for (const record of news) await apply(store, record)
}
