import { expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { codeOf, longer, openTestStore, saveIds } from "../testing/open-test-store.ts"
import { SyntheticState, tokenIds } from "../testing/synthetic-state.ts"
import { temporaryFolder } from "../testing/temporary-folder.ts"

const IDS = tokenIds(20_000, 1)

test("a chunk stays as it is until the next one is asked for", async () => {
  await using store = await openTestStore(temporaryFolder())
  await saveIds(store, IDS)
  const expected = new SyntheticState(IDS).snapshot()
  let at = 0
  for await (const chunk of store.read(store.lookup(longer(IDS))?.key ?? "")) {
    // Whoever reads ahead has the time to spoil it.
    await Bun.sleep(3)
    expect(Buffer.compare(chunk, expected.subarray(at, at + chunk.length))).toBe(0)
    at += chunk.length
  }
  expect(at).toBe(expected.length)
})

test("a read that is given up closes its files, and the folder is free", async () => {
  const folder = temporaryFolder()
  await using store = await openTestStore(folder, { lockWaitMs: 100 })
  await saveIds(store, IDS)
  const openFiles = (): number => readdirSync("/proc/self/fd").length
  const key = store.lookup(longer(IDS))?.key ?? ""
  for await (const _ of store.read(key)) break // what opens once for all opens here
  const before = openFiles()
  for (let count = 0; count < 20; count++) {
    let chunks = 0
    for await (const _ of store.read(key)) if (++chunks > count % 5) break
  }
  expect(openFiles()).toBe(before)
  await store.remove(key)
  expect(readdirSync(join(folder, "segments"))).toEqual([])
})

test("a checkpoint that is being read is not removed", async () => {
  await using store = await openTestStore(temporaryFolder(), { lockWaitMs: 30 })
  await saveIds(store, IDS)
  const key = store.lookup(longer(IDS))?.key ?? ""
  for await (const _ of store.read(key)) {
    expect(await codeOf(store.remove(key))).toBe("LOCKED")
    break
  }
  expect(await codeOf(store.remove(key))).toBe("none")
})
