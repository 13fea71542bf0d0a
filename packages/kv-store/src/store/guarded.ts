import type { Checkpoint, Segment } from "../index/catalog.ts"
import { KvStoreError, systemCode } from "../kv-store-error.ts"
import { quarantineCheckpoint, quarantineSegment } from "./quarantine.ts"
import { checkpointName, segmentName, type StoreContext } from "./store-context.ts"

/** Damage of a file moves it away, and its absence drops it from the index. */
export async function guarded<T>(
  store: StoreContext,
  owner: Checkpoint | Segment,
  work: (name: string) => Promise<T>,
): Promise<T> {
  const isSegment = "key" in owner
  const key = isSegment ? owner.key : owner.head.key
  const name = isSegment ? segmentName(key) : checkpointName(key)
  try {
    return await work(name)
  } catch (error) {
    const code = systemCode(error)
    const isDamage = error instanceof KvStoreError && error.code === "DAMAGED"
    if (!isDamage && code === undefined) throw error
    if (!isDamage && code !== "EIO") {
      if (isSegment) store.catalog.loseSegment(key)
      else store.catalog.removeCheckpoint(key)
      const reason = code === "ENOENT" ? "is gone: another process removed it" : `gives ${code}`
      throw new KvStoreError("MISSING", `${name} ${reason}`)
    }
    const problem = isDamage ? error.message : "gives EIO"
    await (isSegment ? quarantineSegment : quarantineCheckpoint)(store, key, problem)
    throw new KvStoreError("DAMAGED", `${name} ${problem}`, { cause: error })
  }
}
