import { basename } from "node:path"
import { checkpointName, QUARANTINE, segmentName, type StoreContext } from "./store-context.ts"

/** Damaged files that are kept for a look at them. */
const MOST_FILES = 3

async function moveAway(store: StoreContext, name: string, problem: string): Promise<void> {
  store.counts.damagedFiles++
  store.log(`kv store: ${name} ${problem}; it moves to ${QUARANTINE}`)
  try {
    const stamp = String(store.now()).padStart(16, "0")
    await store.files.rename(name, `${QUARANTINE}/${stamp}-${basename(name)}`)
    const kept = (await store.files.list(QUARANTINE)).toSorted()
    for (const each of kept.slice(0, Math.max(0, kept.length - MOST_FILES)))
      await store.files.remove(`${QUARANTINE}/${each}`)
  } catch (error) {
    store.log(
      `kv store: ${name} could not be moved: ${error instanceof Error ? error.message : ""}`,
    )
  }
}

/** The file leaves the folder of checkpoints, and the checkpoint the index. */
export async function quarantineCheckpoint(
  store: StoreContext,
  key: string,
  problem: string,
): Promise<void> {
  store.catalog.removeCheckpoint(key)
  await moveAway(store, checkpointName(key), problem)
}

/** The file leaves the folder of segments. Checkpoints that need it are no longer listed. */
export async function quarantineSegment(
  store: StoreContext,
  key: string,
  problem: string,
): Promise<void> {
  store.catalog.loseSegment(key)
  await moveAway(store, segmentName(key), problem)
}
