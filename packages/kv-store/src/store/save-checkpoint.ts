import { publish } from "../files/publish.ts"
import { writeStoreFile } from "../format/write-store-file.ts"
import { KvStoreError, systemCode } from "../kv-store-error.ts"
import { loadCheckpoints, loadSegment } from "./load-files.ts"
import { note } from "./note.ts"
import { makeRoom } from "./room.ts"
import {
  planSave,
  type PlannedFile,
  type SavePlan,
  type SaveRequest,
  type StateSource,
} from "./save-plan.ts"
import {
  checkpointName,
  CHECKPOINTS,
  SEGMENTS,
  segmentName,
  type StoreContext,
} from "./store-context.ts"
import { synchronize } from "./synchronize.ts"

/**
 * Why a checkpoint was not written. paused: the disk failed less than a minute ago. busy: another
 * process kept the folder. full: no room within the budget and the minimum free space, once all
 * that may go is gone. no-space: the disk or the quota is full. failed: another error of the disk.
 */
export type Refusal = "paused" | "busy" | "full" | "no-space" | "failed"

export type SaveResult =
  | {
      readonly saved: true
      readonly key: string
      /** 0 when the checkpoint was there already. */
      readonly bytesWritten: number
      readonly segmentsWritten: number
    }
  | { readonly saved: false; readonly reason: Refusal; readonly message: string }

const writeFile = (store: StoreContext, name: string, planned: PlannedFile): Promise<void> =>
  publish(store.files, name, (file) => writeStoreFile(file, planned.identity, planned.sections))

/** Writes a segment, unless another save is writing it just now: then that one's will do. */
async function writeSegment(
  store: StoreContext,
  segment: SavePlan["segments"][number],
): Promise<boolean> {
  const { key, bytes } = segment
  const other = store.writing.get(key)
  if (other !== undefined && (await other)) return false
  const work = writeFile(store, segmentName(key), segment)
  const isWritten = work.then(
    () => true,
    () => false,
  )
  store.writing.set(key, isWritten)
  try {
    await work
    store.catalog.addSegment(key, bytes)
    return true
  } finally {
    if (store.writing.get(key) === isWritten) store.writing.delete(key)
  }
}

/** Whether the file is there: another process may have removed it, or written it. */
async function isOnDisk(store: StoreContext, key: string): Promise<boolean> {
  const known = store.catalog.segments.get(key)?.bytes
  const status = await store.files.stat(segmentName(key))
  if (status === undefined) {
    store.catalog.loseSegment(key)
    return false
  }
  return status.bytes === known || loadSegment(store, key)
}

async function writeSegments(
  store: StoreContext,
  { segments }: SavePlan,
): Promise<{ written: number; bytes: number }> {
  let [written, bytes] = [0, 0]
  for (const segment of segments) {
    if (await isOnDisk(store, segment.key)) continue
    if (!(await writeSegment(store, segment))) continue
    written++
    bytes += segment.bytes
  }
  // Those that were there may be another process's, whose names are not yet for good.
  if (segments.length > 0) await store.files.syncFolder(SEGMENTS)
  return { written, bytes }
}

function neededBytes(store: StoreContext, { segments, checkpoint }: SavePlan): number {
  const missing = segments.filter(({ key }) => store.catalog.segments.get(key)?.bytes === undefined)
  return missing.reduce((sum, { bytes }) => sum + bytes, checkpoint.bytes)
}

/** The caller holds the lock for writing. */
async function write(store: StoreContext, plan: SavePlan): Promise<SaveResult> {
  const { key, checkpoint } = plan
  const segments = await writeSegments(store, plan)
  await writeFile(store, checkpointName(key), checkpoint)
  await store.files.syncFolder(CHECKPOINTS)
  await loadCheckpoints(store, [key])
  await note(store, "add", key)
  store.counts.saves++
  const bytesWritten = segments.bytes + checkpoint.bytes
  store.counts.bytesWritten += bytesWritten
  return { saved: true, key, bytesWritten, segmentsWritten: segments.written }
}

const refusal = (reason: Refusal, message: string): SaveResult => ({
  saved: false,
  reason,
  message,
})

/** Whether the very same checkpoint is there, under the same label. */
function isSaved(store: StoreContext, key: string, label: string | undefined): boolean {
  const known = store.catalog.checkpoints.get(key)
  if (known === undefined || known.missing > 0) return false
  return label === undefined || known.head.info.label === label
}

async function saveIntoRoom(
  store: StoreContext,
  plan: SavePlan,
  label?: string,
): Promise<SaveResult> {
  const needed = neededBytes(store, plan)
  const room = await makeRoom(store, needed)
  if (room === "full")
    return refusal(
      "full",
      `${needed} bytes do not fit into a budget of ${store.budgetBytes} that leaves ` +
        `${store.minimumFreeBytes} free on the disk: raise the budget, or remove labelled ones`,
    )
  using lock = room === "busy" ? undefined : await store.lock.acquire("write", store.lockWaitMs)
  if (lock === undefined)
    return refusal("busy", `another process kept the folder for ${store.lockWaitMs} ms`)
  await synchronize(store)
  if (isSaved(store, plan.key, label))
    return { saved: true, key: plan.key, bytesWritten: 0, segmentsWritten: 0 }
  return await write(store, plan) // without await the lock would be let go at once
}

/** Two saves at once may together exceed the budget that each of them kept. */
async function trim(store: StoreContext): Promise<void> {
  try {
    await makeRoom(store, 0)
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    store.log(`kv store: eviction failed: ${error instanceof Error ? error.message : ""}`)
  }
}

/** An error of the disk, or of the folder, as a refusal; any other error is thrown again. */
function refusalOf(error: unknown): SaveResult {
  const isFolder = error instanceof KvStoreError && error.code === "FOLDER"
  const code = isFolder ? error.code : systemCode(error)
  if (code === undefined) throw error
  const message = error instanceof Error ? error.message : code
  return refusal(code === "ENOSPC" || code === "EDQUOT" ? "no-space" : "failed", message)
}

/**
 * Writes what the folder does not hold yet: missing segments, then the checkpoint. Errors of the
 * disk become refusals.
 *
 * @throws KvStoreError ARGUMENT, INCOMPATIBLE; whatever the state throws
 */
export async function saveCheckpoint(
  store: StoreContext,
  state: StateSource,
  request: SaveRequest,
): Promise<SaveResult> {
  const plan = await planSave(store, state, request)
  if (isSaved(store, plan.key, request.label))
    return { saved: true, key: plan.key, bytesWritten: 0, segmentsWritten: 0 }
  const spared = [plan.key, ...plan.segments.map(({ key }) => key)]
  for (const key of spared) store.spared.add(key)
  try {
    const result = await saveIntoRoom(store, plan, request.label)
    if (result.saved) await trim(store)
    return result
  } catch (error) {
    return refusalOf(error)
  } finally {
    for (const key of spared) store.spared.delete(key)
  }
}
