import { expect, test } from "bun:test"
import { MemoryFiles } from "../testing/memory-files.ts"
import { longer, NO_LOCK, openTestStore, saveIds } from "../testing/open-test-store.ts"
import { collect, tokenIds, withOther } from "../testing/synthetic-state.ts"
import type { KvStore } from "./kv-store.ts"
import type { KvStoreOptions } from "./open-store.ts"

const HOUR = 3_600_000

/** A store in memory whose clock stands where the test puts it. */
function fixture(options: Partial<KvStoreOptions> = {}): {
  files: MemoryFiles
  clock: { now: number }
  open: (more?: Partial<KvStoreOptions>) => Promise<KvStore>
} {
  const files = new MemoryFiles()
  const clock = { now: 1000 * HOUR }
  const open = (more: Partial<KvStoreOptions> = {}): Promise<KvStore> =>
    openTestStore("", { files, lock: NO_LOCK, now: () => clock.now, ...options, ...more })
  return { files, clock, open }
}

const tokensOf = (store: KvStore): number[] =>
  store
    .list()
    .map(({ tokens }) => tokens)
    .toSorted((a, b) => a - b)

async function use(store: KvStore, ids: Int32Array): Promise<void> {
  await collect(store.read(store.lookup(longer(ids))?.key ?? "", { prompt: longer(ids) }))
}

/** Bytes of a store with these checkpoints. */
async function bytesOf(all: readonly Int32Array[]): Promise<number> {
  const store = await fixture().open()
  for (const ids of all) await saveIds(store, ids)
  return store.stats.bytes
}

test("a checkpoint close to the next shorter one goes before one that saves more", async () => {
  const { open, clock } = fixture()
  const ids = tokenIds(9000, 1)
  const marks = [4000, 8000, 8200].map((length) => ids.subarray(0, length))
  const budgetBytes = (await bytesOf([...marks, ids])) - 1
  const store = await open({ budgetBytes })
  for (const each of [...marks, ids]) {
    clock.now += 1000
    expect(await saveIds(store, each)).toMatchObject({ saved: true })
  }
  expect(tokensOf(store)).toEqual([4000, 8000, 9000])
  expect(store.stats.evictions).toBe(1)
})

test("after a restart the values are the same", async () => {
  const { open } = fixture()
  const ids = tokenIds(9000, 2)
  const first = await open()
  for (const length of [4000, 8000, 8200, 9000]) await saveIds(first, ids.subarray(0, length))
  const second = await open({ budgetBytes: first.stats.bytes - 1 })
  await second.gc()
  expect(tokensOf(second)).toEqual([4000, 8000, 9000])
})

test("a value rises when the checkpoint below it goes", async () => {
  const { open } = fixture()
  const store = await open()
  const ids = tokenIds(9000, 3)
  for (const length of [2600, 2700, 2800]) await saveIds(store, ids.subarray(0, length))
  const valueOf = (tokens: number): number =>
    store.list().find((each) => each.tokens === tokens)?.value ?? 0
  const before = valueOf(2800)
  await store.remove(store.lookup(ids.subarray(0, 2701))?.key ?? "")
  expect(valueOf(2800) / before).toBeCloseTo(2, 6)
})

test("uses keep a checkpoint, and count half after six hours", async () => {
  const { open, clock } = fixture()
  const store = await open()
  const ids = tokenIds(5000, 4)
  await saveIds(store, ids)
  const unused = store.list()[0]?.value ?? 0
  await use(store, ids)
  const value = (): number => (store.list()[0]?.value ?? 0) / unused
  expect(value()).toBeCloseTo(2, 9)
  clock.now += 6 * HOUR
  expect(value()).toBeCloseTo(1.5, 9)
  await use(store, ids)
  expect(value()).toBeCloseTo(2.5, 9)
})

test("a clock that goes back neither raises nor loses uses, nor does a restart", async () => {
  const { open, clock } = fixture()
  const store = await open()
  const ids = tokenIds(5000, 5)
  await saveIds(store, ids)
  const unused = store.list()[0]?.value ?? 0
  await use(store, ids)
  clock.now -= 500 * HOUR
  expect((store.list()[0]?.value ?? 0) / unused).toBeCloseTo(2, 9)
  await use(store, ids)
  expect((store.list()[0]?.value ?? 0) / unused).toBeCloseTo(3, 9)
  const again = await open()
  expect((again.list()[0]?.value ?? 0) / unused).toBeCloseTo(3, 9)
  clock.now += 6 * HOUR
  expect((again.list()[0]?.value ?? 0) / unused).toBeCloseTo(2, 9)
})

test("labelled and pinned checkpoints stay, and so does what was just written", async () => {
  const { open } = fixture()
  const [a, b, c, d] = [10, 11, 12, 13].map((seed) => tokenIds(3000, seed))
  if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error()
  const store = await open({ budgetBytes: (await bytesOf([a, b, c])) + 200 })
  await saveIds(store, a, "mine")
  await saveIds(store, b)
  await saveIds(store, c)
  const pin = store.pin(store.lookup(longer(b))?.key ?? "")
  expect(await saveIds(store, d)).toMatchObject({ saved: true })
  const found = [a, b, c, d].map((ids) => store.lookup(longer(ids)) !== undefined)
  expect(found).toEqual([true, true, false, true])
  pin[Symbol.dispose]()
  pin[Symbol.dispose]()
  expect(await saveIds(store, c)).toMatchObject({ saved: true })
  expect(store.lookup(longer(a))).toBeDefined()
  expect(store.stats.checkpoints).toBe(3)
})

test("where only labelled checkpoints are left, a save is refused and none is lost", async () => {
  const { open, files } = fixture()
  const [a, b] = [tokenIds(3000, 20), tokenIds(3000, 21)]
  const small = await open({ budgetBytes: (await bytesOf([a])) - 1 })
  expect(await saveIds(small, a)).toMatchObject({ saved: false, reason: "full" })
  const roomy = await open({ budgetBytes: (await bytesOf([a])) + 100 })
  await saveIds(roomy, a, "x")
  const before = [...files.contents.keys()].filter((name) => name !== "index.log")
  expect(await saveIds(roomy, b)).toMatchObject({ saved: false, reason: "full" })
  expect([...files.contents.keys()].filter((name) => name !== "index.log")).toEqual(before)
  expect(roomy.stats.pausedUntil).toBeUndefined()
})

test("the minimum of free space is kept by eviction, else by refusal", async () => {
  const { open, files } = fixture()
  const store = await open({ minimumFreeBytes: 1e9 })
  const all = [30, 31, 32].map((seed) => tokenIds(3000, seed))
  for (const ids of all) await saveIds(store, ids)
  files.free = 1e9
  expect(await saveIds(store, tokenIds(3000, 33))).toMatchObject({ saved: false, reason: "full" })
  expect(store.stats.checkpoints).toBeLessThan(3)
})

test("two conversations that share a beginning free only what is their own", async () => {
  const { open } = fixture()
  const store = await open()
  const ids = tokenIds(8192, 40)
  const fork = withOther(ids, 6144, 2048, 41)
  await saveIds(store, ids)
  const alone = store.list()[0]?.ownBytes ?? 0
  await saveIds(store, fork)
  const page = 2048 * 8 + 8 + 4096 + 24
  for (const each of store.list()) expect(alone - each.ownBytes).toBe(3 * page)
  // Each saves 8,192 tokens at 100 a second, for the bytes that its removal frees.
  for (const each of store.list()) expect(each.value * each.ownBytes).toBeCloseTo(81.92, 6)
})

test("a save that was interrupted leaves segments that go first", async () => {
  const { open, files } = fixture()
  const ids = tokenIds(9000, 50)
  const first = await open()
  await saveIds(first, ids)
  for (const name of files.contents.keys())
    if (name.startsWith("checkpoints/")) files.contents.delete(name)
  const store = await open()
  expect(store.stats).toMatchObject({ checkpoints: 0, segments: 4 })
  expect(await saveIds(store, ids)).toMatchObject({ segmentsWritten: 0 })
  await store.remove(store.list()[0]?.key ?? "")
  expect(store.stats.bytes).toBe(0)
})
