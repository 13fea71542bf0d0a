import { expect, test } from "bun:test"
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { FlockLock } from "../lock/flock.ts"
import { longer, openTestStore, saveIds } from "../testing/open-test-store.ts"
import { collect, tokenIds } from "../testing/synthetic-state.ts"
import { temporaryFolder } from "../testing/temporary-folder.ts"

/** Seconds of random work; DS4_KV_SECONDS=600 for a long run. */
const SECONDS = Number(process.env.DS4_KV_SECONDS ?? 4)
const CHILD = join(import.meta.dir, "../testing/random-load.ts")
const BUDGET = 1_000_000

async function runChild(folder: string, seed: number): Promise<Record<string, number>> {
  const child = Bun.spawn(
    [process.execPath, CHILD, folder, String(seed), String(SECONDS), String(BUDGET)],
    { stdout: "pipe", stderr: "pipe" },
  )
  const [out, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  expect({ errors, code: await child.exited }).toEqual({ errors: "", code: 0 })
  return JSON.parse(out) as Record<string, number>
}

function filesIn(folder: string): { names: string[]; bytes: number } {
  const names = ["segments", "checkpoints"].flatMap((kind) =>
    readdirSync(join(folder, kind)).map((name) => join(folder, kind, name)),
  )
  return { names, bytes: names.reduce((sum, name) => sum + statSync(name).size, 0) }
}

test(
  `two processes save, read and evict in one folder for ${SECONDS} s`,
  async () => {
    const folder = temporaryFolder()
    const counts = await Promise.all([runChild(folder, 1), runChild(folder, 2)])
    console.log(JSON.stringify(counts))
    for (const each of counts) {
      expect(each.saves).toBeGreaterThan(10 * SECONDS)
      expect(each.reads).toBeGreaterThan(10 * SECONDS)
      expect(each.othersReads).toBeGreaterThan(0)
      expect(each.evictions).toBeGreaterThan(0)
    }
    await using store = await openTestStore(folder, { budgetBytes: BUDGET })
    const verification = await store.verify()
    expect(verification.damaged).toEqual([])
    expect(store.list().every(({ isUsable }) => isUsable)).toBe(true)
    for (const { key } of store.list()) await collect(store.read(key))
    const { names, bytes } = filesIn(folder)
    expect(verification.files).toBe(names.length)
    expect(store.stats.bytes).toBe(bytes)
    expect(bytes).toBeLessThanOrEqual(BUDGET)
    expect(["tmp", "quarantine"].flatMap((kind) => readdirSync(join(folder, kind)))).toEqual([])
  },
  { timeout: 1000 * (SECONDS + 60) },
)

test("a store hears what another one in the same folder saves, uses and removes", async () => {
  const folder = temporaryFolder()
  await using a = await openTestStore(folder)
  await using b = await openTestStore(folder)
  const ids = tokenIds(5000, 1)
  await saveIds(a, ids)
  expect(b.lookup(longer(ids))).toBeUndefined()
  await b.refresh()
  expect(b.lookup(longer(ids))).toMatchObject({ tokens: 5000 })
  expect(b.stats.bytes).toBe(a.stats.bytes)
  const key = a.list()[0]?.key ?? ""
  await collect(b.read(key, { prompt: longer(ids) }))
  await a.refresh()
  await a.refresh()
  expect(a.list()[0]?.uses).toBe(1)
  await a.gc()
  await a.remove(key)
  await b.refresh()
  expect(b.list()).toEqual([])
  expect(b.stats).toMatchObject({ bytes: 0, segments: 0 })
})

test("one store writes anew what another one evicted without its knowing", async () => {
  const folder = temporaryFolder()
  await using a = await openTestStore(folder)
  await using b = await openTestStore(folder)
  const ids = tokenIds(5000, 2)
  await saveIds(a, ids.subarray(0, 4500))
  await b.refresh()
  await a.remove(a.list()[0]?.key ?? "")
  expect(await saveIds(b, ids)).toMatchObject({ saved: true, segmentsWritten: 2 })
  await a.refresh()
  expect(a.lookup(longer(ids))).toMatchObject({ tokens: 5000 })
  await collect(a.read(a.list()[0]?.key ?? "", { prompt: longer(ids) }))
})

test("a store that closes compacts a long log, unless somebody is in the folder", async () => {
  const folder = temporaryFolder()
  const ids = tokenIds(100, 4)
  const size = (): number => statSync(join(folder, "index.log")).size
  const store = await openTestStore(folder)
  await saveIds(store, ids)
  for (let i = 0; i < 1000; i++) await collect(store.read(store.list()[0]?.key ?? ""))
  const again = await openTestStore(folder)
  using _ = await new FlockLock(folder).acquire("read", 0)
  await store.close()
  expect(size()).toBeGreaterThan(72_000)
  _?.[Symbol.dispose]()
  await again.close()
  expect(size()).toBe(24 + 72)
  await using last = await openTestStore(folder)
  expect(last.list()[0]?.uses).toBe(1000)
})

test("a compacted log is read anew, with all uses", async () => {
  const folder = temporaryFolder()
  await using a = await openTestStore(folder)
  const ids = tokenIds(100, 3)
  await saveIds(a, ids)
  const key = a.list()[0]?.key ?? ""
  for (let i = 0; i < 1000; i++) await collect(a.read(key))
  await using b = await openTestStore(folder)
  expect(b.list()[0]?.uses).toBe(1000)
  await b.gc()
  expect(statSync(join(folder, "index.log")).size).toBe(24 + 72)
  await collect(a.read(key))
  await a.refresh()
  await b.refresh()
  expect([a.list()[0]?.uses, b.list()[0]?.uses]).toEqual([1001, 1001])
})
