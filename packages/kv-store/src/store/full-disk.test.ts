import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DiskFiles } from "../files/disk.ts"
import { FailingFiles } from "../testing/failing-files.ts"
import { MemoryFiles } from "../testing/memory-files.ts"
import { codeOf, longer, NO_LOCK, openTestStore, saveIds } from "../testing/open-test-store.ts"
import { collect, SyntheticState, tokenIds } from "../testing/synthetic-state.ts"
import type { KvStore } from "./kv-store.ts"

const IDS = tokenIds(5000, 1)
const OLD = IDS.subarray(0, 2500)

async function isWhole(store: KvStore, ids: Int32Array): Promise<boolean> {
  const match = store.lookup(longer(ids))
  if (match?.tokens !== ids.length) return false
  const bytes = await collect(store.read(match.key, { prompt: longer(ids) }))
  return Buffer.compare(bytes, new SyntheticState(ids).snapshot()) === 0
}

/** A store with one checkpoint, whose disk fails as it is told. */
async function fixture(): Promise<{
  memory: MemoryFiles
  files: FailingFiles
  store: KvStore
  clock: { now: number }
  lines: string[]
}> {
  const memory = new MemoryFiles()
  const files = new FailingFiles(memory)
  const clock = { now: 1e12 }
  const lines: string[] = []
  const log = (line: string): void => void lines.push(line)
  const store = await openTestStore("", { files, lock: NO_LOCK, log, now: () => clock.now })
  await saveIds(store, OLD)
  return { memory, files, store, clock, lines }
}

test.each([
  ["ENOSPC", "no-space"],
  ["EDQUOT", "no-space"],
  ["EIO", "failed"],
] as const)(
  "%s at any operation of a save refuses it, and nothing is lost",
  async (code, reason) => {
    const { files, store } = await fixture()
    files.arm(Infinity, code)
    await saveIds(store, IDS)
    const operations = files.count
    expect(operations).toBeGreaterThan(15)
    for (let at = 0; at < operations; at++) {
      const { memory, files, store, clock, lines } = await fixture()
      files.arm(at, code)
      const result = await saveIds(store, IDS)
      files.disarm()
      // The last operations only note the save in the log.
      if (result.saved) expect(at).toBeGreaterThan(operations - 5)
      else {
        expect({ at, reason: result.reason }).toEqual({ at, reason })
        expect(lines).toHaveLength(1)
        expect(lines[0]).toContain(code)
        expect(await saveIds(store, IDS)).toMatchObject({ saved: false, reason: "paused" })
        expect(lines).toHaveLength(1)
      }
      expect(await memory.list("tmp")).toEqual([])
      expect(await isWhole(store, OLD)).toBe(true)
      clock.now += 61_000
      expect(await saveIds(store, IDS)).toMatchObject({ saved: true })
      expect(await isWhole(store, IDS)).toBe(true)
      expect((await store.verify()).damaged).toEqual([])
    }
  },
)

test("a pause ends when the clock goes back", async () => {
  const { files, store, clock } = await fixture()
  files.arm(3, "EIO")
  await saveIds(store, IDS)
  files.disarm()
  expect(store.stats.pausedUntil).toBe(clock.now + 60_000)
  clock.now -= 3_600_000
  expect(await saveIds(store, IDS)).toMatchObject({ saved: true })
})

test("a state that fails while it is read is the caller's error, and leaves nothing", async () => {
  const { memory, store, lines } = await fixture()
  const state = new SyntheticState(IDS)
  const broken = {
    position: state.position,
    regionBytes: state.regionBytes,
    readRegion: (region: number): Uint8Array => {
      if (region === 3) throw new RangeError("the mark is closed")
      return state.readRegion(region)
    },
  }
  const work = store.save(broken, { shown: IDS, reason: "turn" })
  expect(await codeOf(work)).toBe("RangeError: the mark is closed")
  await store.close()
  expect(await memory.list("tmp")).toEqual([])
  expect(lines).toEqual([])
})

test("a disk that cannot read a file costs that file alone", async () => {
  const { files, store, lines } = await fixture()
  await saveIds(store, IDS)
  const key = store.lookup(longer(IDS))?.key ?? ""
  files.arm(0, "EIO")
  expect(await codeOf(collect(store.read(key)))).toBe("DAMAGED")
  files.disarm()
  expect(lines.join()).toContain("EIO")
  expect(store.lookup(longer(IDS))?.tokens).toBe(OLD.length)
})

test("too many open files cost no file: it is found again when the store opens next", async () => {
  const { memory, files, store } = await fixture()
  files.arm(0, "EMFILE")
  expect(await codeOf(collect(store.read(store.lookup(longer(OLD))?.key ?? "")))).toBe("MISSING")
  files.disarm()
  expect(store.lookup(longer(OLD))).toBeUndefined()
  expect(await memory.list("quarantine")).toEqual([])
  expect(await isWhole(await openTestStore("", { files: memory, lock: NO_LOCK }), OLD)).toBe(true)
})

function smallDisk(): string | undefined {
  const mount = mkdtempSync(join(tmpdir(), "ds4-kv-small-disk-"))
  const { exitCode } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", mount])
  if (exitCode === 0) return mount
  rmSync(mount, { recursive: true })
  return undefined
}
const disk = smallDisk()
afterAll(() => {
  if (disk === undefined) return
  Bun.spawnSync(["umount", disk])
  rmSync(disk, { recursive: true, force: true })
})

/** A disk that says that it has room. */
class Boasting extends DiskFiles {
  override freeBytes(): Promise<number> {
    return Promise.resolve(2 ** 40)
  }
}

test.skipIf(disk === undefined)(
  "a disk that is full refuses saves and keeps all others (needs the right to mount a tmpfs)",
  async () => {
    const folder = join(disk ?? "", "store")
    const clock = { now: Date.now() }
    {
      await using careful = await openTestStore(folder, { minimumFreeBytes: 200_000 })
      for (let seed = 0; seed < 8; seed++) await saveIds(careful, tokenIds(2500, seed))
      expect(careful.stats.evictions).toBeGreaterThan(0)
    }
    const files = new Boasting(folder)
    await using store = await openTestStore(folder, { files, now: () => clock.now })
    const saved: Int32Array[] = []
    let refusals = 0
    for (let seed = 100; refusals < 3; seed++) {
      const ids = tokenIds(2500, seed)
      const result = await saveIds(store, ids)
      if (result.saved) saved.push(ids)
      else expect(result.reason).toBe("no-space")
      refusals += result.saved ? 0 : 1
      clock.now += 61_000
    }
    expect(saved.length).toBeGreaterThan(3)
    for (const ids of saved) expect(await isWhole(store, ids)).toBe(true)
    expect(readdirSync(join(folder, "tmp"))).toEqual([])
    expect((await store.verify()).damaged).toEqual([])
  },
)
