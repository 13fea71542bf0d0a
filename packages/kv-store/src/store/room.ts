import { breath } from "../breath.ts"
import { RECORD_BYTES } from "../index/use-log.ts"
import { KvStoreError, systemCode } from "../kv-store-error.ts"
import { Candidates } from "./eviction.ts"
import { Removal } from "./removal.ts"
import type { StoreContext } from "./store-context.ts"
import { synchronize } from "./synchronize.ts"

const LEAST_LOG_BYTES = 65536

/** Makes a log where there is none that can be read. The caller has the folder to itself. */
export async function makeLog({ uses }: StoreContext): Promise<void> {
  if (!(await uses.isSound())) await uses.rewrite([])
}

const isLogLong = ({ catalog, uses }: StoreContext): boolean =>
  uses.bytes >= LEAST_LOG_BYTES + 4 * RECORD_BYTES * catalog.checkpoints.size

/** Writes the log anew where most of it is old. The caller has the folder to itself. */
export async function compactLog(store: StoreContext): Promise<void> {
  const { catalog, uses } = store
  if (!isLogLong(store) && (await uses.isSound())) return
  const used = [...catalog.checkpoints.values()].filter((each) => each.uses.total > 0)
  await uses.rewrite(
    used.map(({ head, uses: { sum, last, total } }) => ({
      kind: "sum",
      key: head.key,
      time: last,
      sum,
      total,
    })),
  )
}

/** Compacts a long log when nobody else is in the folder; else another time will do. */
export async function tidyLog(store: StoreContext): Promise<void> {
  try {
    {
      using shared = await store.lock.acquire("read", 0)
      if (shared === undefined) return
      await synchronize(store)
    }
    if (!isLogLong(store)) return
    using alone = await store.lock.acquire("alone", 0)
    if (alone === undefined) return
    await synchronize(store)
    await compactLog(store)
  } catch (error) {
    if (systemCode(error) === undefined && !(error instanceof KvStoreError)) throw error
    store.log(`kv store: the log was not compacted: ${error instanceof Error ? error.message : ""}`)
  }
}

/** Bytes that must go before so many more may come; zero or less when there is room. */
async function excess(store: StoreContext, needed: number): Promise<number> {
  const free = await store.files.freeBytes()
  return Math.max(
    store.catalog.bytes + needed - store.budgetBytes,
    needed > 0 || free < store.minimumFreeBytes ? store.minimumFreeBytes + needed - free : 0,
  )
}

/** Chooses the least valuable until so many bytes go. */
async function chooseVictims(store: StoreContext, bytes: number): Promise<Removal> {
  const removal = new Removal(store)
  removal.addUnusedSegments()
  if (removal.bytes >= bytes) return removal
  const candidates = new Candidates(store)
  await candidates.fill()
  while (removal.bytes < bytes) {
    const victim = candidates.takeLeast()
    if (victim === undefined) break
    removal.add(victim)
    candidates.update(victim)
    store.counts.evictions++
    if (removal.checkpoints.length % 16 === 0) await breath()
  }
  return removal
}

/** "busy": another process did not let go of the folder in time. */
type Room = "room" | "full" | "busy"

/** Evicts until `needed` more bytes fit into the budget and leave the minimum free space. */
export async function makeRoom(store: StoreContext, needed: number): Promise<Room> {
  if (needed > store.budgetBytes) return "full"
  if ((await excess(store, needed)) <= 0) return "room"
  using lock = await store.lock.acquire("alone", store.lockWaitMs)
  if (lock === undefined) return "busy"
  await synchronize(store)
  const bytes = await excess(store, needed)
  if (bytes > 0) await (await chooseVictims(store, bytes)).run()
  await compactLog(store)
  return (await excess(store, needed)) <= 0 ? "room" : "full"
}
