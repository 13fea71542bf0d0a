import { readCheckpointHead, type CheckpointHead } from "../format/checkpoint-head.ts"
import { readFileHead, sectionOf } from "../format/file-head.ts"
import type { FileKind } from "../format/layout.ts"
import { damaged, KvStoreError, systemCode } from "../kv-store-error.ts"
import { quarantineCheckpoint, quarantineSegment } from "./quarantine.ts"
import { checkpointName, segmentName, type StoreContext } from "./store-context.ts"

/** Files that are opened at once. */
const AT_ONCE = 16

/** Runs `work` for each, a few at once. */
async function forEachAtOnce(
  items: readonly string[],
  work: (item: string) => Promise<void>,
): Promise<void> {
  const queue = items.values()
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker))
}

async function segmentBytes(store: StoreContext, key: string): Promise<number> {
  const file = await store.files.open(segmentName(key))
  try {
    const head = await readFileHead(file, "segment")
    sectionOf(head, "page")
    if (head.key !== key) throw damaged(`says that its key is ${head.key}`)
    return head.fileBytes
  } finally {
    await file.close()
  }
}

async function checkpointHead(store: StoreContext, key: string): Promise<CheckpointHead> {
  const file = await store.files.open(checkpointName(key))
  try {
    const head = await readCheckpointHead(file, await readFileHead(file, "checkpoint"))
    if (head.key !== key) throw damaged(`says that its key is ${head.key}`)
    return head
  } finally {
    await file.close()
  }
}

/** A file that cannot be taken: damage moves it away, everything else leaves it where it is. */
async function refuse(
  store: StoreContext,
  kind: FileKind,
  key: string,
  error: unknown,
): Promise<void> {
  const name = kind === "segment" ? segmentName(key) : checkpointName(key)
  if (systemCode(error) === "ENOENT") return
  if (error instanceof KvStoreError && error.code === "DAMAGED")
    return (kind === "segment" ? quarantineSegment : quarantineCheckpoint)(
      store,
      key,
      error.message,
    )
  if (error instanceof KvStoreError) return store.log(`kv store: ${name} ${error.message}`)
  if (systemCode(error) === undefined) throw error
  store.log(`kv store: ${name} cannot be read: ${error instanceof Error ? error.message : ""}`)
}

/** @returns whether there is such a file with a whole head */
export async function loadSegment(store: StoreContext, key: string): Promise<boolean> {
  try {
    store.catalog.addSegment(key, await segmentBytes(store, key))
    return true
  } catch (error) {
    store.catalog.loseSegment(key)
    await refuse(store, "segment", key, error)
    return false
  }
}

async function loadCheckpoint(store: StoreContext, key: string): Promise<void> {
  try {
    store.catalog.addCheckpoint(await checkpointHead(store, key))
  } catch (error) {
    await refuse(store, "checkpoint", key, error)
  }
}

/** Takes files of these keys into the catalog; checkpoints bring the segments that they need. */
export async function loadCheckpoints(store: StoreContext, keys: readonly string[]): Promise<void> {
  await forEachAtOnce(keys, (key) => loadCheckpoint(store, key))
  const gaps = new Set(
    keys.flatMap((key) =>
      (store.catalog.checkpoints.get(key)?.chain ?? [])
        .filter(({ bytes }) => bytes === undefined)
        .map((segment) => segment.key),
    ),
  )
  await loadSegments(store, [...gaps])
}

export const loadSegments = (store: StoreContext, keys: readonly string[]): Promise<void> =>
  forEachAtOnce(keys, async (key) => void (await loadSegment(store, key)))
