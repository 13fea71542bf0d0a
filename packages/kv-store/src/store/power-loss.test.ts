import { expect, test } from "bun:test"
import { randomNumbers } from "../testing/file-map.ts"
import { NO_LOCK, openTestStore, saveIds } from "../testing/open-test-store.ts"
import {
  PowerlessDisk,
  RecordingFiles,
  type DiskOperation,
  type PowerCut,
} from "../testing/recording-files.ts"
import { collect, SyntheticState, tokenIds, withOther } from "../testing/synthetic-state.ts"
import type { KvStore } from "./kv-store.ts"

const IDS = tokenIds(7000, 1)
const FORK = withOther(IDS, 5000, 500, 2)
const HELD = withOther(IDS, 3000, 1500, 3)
const SHOWN = withOther(IDS, 3000, 20, 4)
const SMALL = { bytesPerToken: 1, recentBytes: 40 }

/** Everything a store does to its folder, with marks for what callers were told. */
async function recordedLife(): Promise<RecordingFiles> {
  const files = new RecordingFiles()
  const store = await openTestStore("", { files, lock: NO_LOCK })
  const keep = async (shown: Int32Array, held = shown, label?: string): Promise<string> => {
    const request = { shown, held, reason: "turn", ...(label !== undefined && { label }) }
    const result = await store.save(new SyntheticState(held, SMALL), request)
    if (!result.saved) throw new Error(result.message)
    files.mark(`saved ${result.key}`)
    return result.key
  }
  const drop = async (key: string): Promise<void> => {
    files.mark(`removed ${key}`)
    await store.remove(key)
  }
  await keep(IDS.subarray(0, 1000))
  await keep(IDS.subarray(0, 4500))
  await keep(IDS)
  const fork = await keep(FORK)
  await keep(SHOWN, HELD)
  await keep(IDS.subarray(0, 4500), undefined, "label")
  await drop(fork)
  await keep(FORK)
  await drop(store.lookup(withOther(IDS, 7000, 1, 5))?.key ?? "")
  await store.gc()
  await keep(IDS)
  return files
}

interface Outcome {
  readonly lost: readonly string[]
  readonly unreadable: readonly string[]
  readonly damagedFiles: number
}

/** Opens what a power cut left, and reads all that it lists. */
async function outcomeOf(
  disk: PowerlessDisk,
  how: PowerCut,
  promised: ReadonlySet<string>,
): Promise<Outcome> {
  const store: KvStore = await openTestStore("", { files: disk.cut(how), lock: NO_LOCK })
  const usable = new Set(
    store
      .list()
      .filter((each) => each.isUsable)
      .map(({ key }) => key),
  )
  const unreadable: string[] = []
  for (const key of usable) {
    try {
      await collect(store.read(key))
    } catch {
      unreadable.push(key)
    }
  }
  await saveIds(store, tokenIds(100, 77)) // it can be written on
  const lost = [...promised].filter((key) => !usable.has(key))
  return { lost, unreadable, damagedFiles: store.stats.damagedFiles }
}

const EMPTY: PowerCut["contentOf"] = (synced) => synced
const nothingMore: PowerCut = { keepsName: () => false, contentOf: EMPTY }
const allNames: PowerCut = { keepsName: () => true, contentOf: EMPTY }
const atRandom = (random: () => number): PowerCut => ({
  keepsName: () => random() < 0.5,
  contentOf: (synced, written) => {
    const choice = Math.floor(random() * 4)
    if (choice === 0) return synced
    if (choice === 1) return written
    if (choice === 2) return written.subarray(0, Math.floor(random() * written.length))
    return new Uint8Array(written.length) // a hole
  },
})

/** Outcomes of a cut after each operation, in each way. */
async function* cuts(
  operations: readonly DiskOperation[],
  ways: readonly PowerCut[],
): AsyncGenerator<Outcome & { at: number; way: number }> {
  const disk = new PowerlessDisk()
  const promised = new Set<string>()
  for (const [at, operation] of operations.entries()) {
    disk.apply(operation)
    if (operation.kind === "mark") {
      const [what, key = ""] = operation.text.split(" ")
      if (what === "saved") promised.add(key)
      else promised.delete(key)
    }
    for (const [way, how] of ways.entries())
      yield { at, way, ...(await outcomeOf(disk, how, promised)) }
  }
}

test("a power cut after any operation loses no checkpoint that was promised", async () => {
  const { operations } = await recordedLife()
  const random = randomNumbers(5)
  const ways = [nothingMore, allNames, atRandom(random), atRandom(random), atRandom(random)]
  let count = 0
  for await (const { at, way, ...outcome } of cuts(operations, ways)) {
    count++
    expect({ at, way, ...outcome }).toEqual({ at, way, lost: [], unreadable: [], damagedFiles: 0 })
  }
  expect(count).toBe(5 * operations.length)
  expect(operations.length).toBeGreaterThan(100)
})

test.each([
  ["of files", "sync"],
  ["of the folder", "syncFolder"],
] as const)("the same test notices a store without fsync %s", async (_, kind) => {
  const { operations } = await recordedLife()
  const without = operations.filter((each) => each.kind !== kind)
  let faults = 0
  for await (const { lost, damagedFiles } of cuts(without, [nothingMore, allNames]))
    if (lost.length > 0 || damagedFiles > 0) faults++
  expect(faults).toBeGreaterThan(10)
})
