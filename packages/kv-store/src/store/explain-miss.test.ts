import { expect, test } from "bun:test"
import { MemoryFiles } from "../testing/memory-files.ts"
import { longer, NO_LOCK, openTestStore, saveIds } from "../testing/open-test-store.ts"
import { SyntheticState, tokenIds, withOther } from "../testing/synthetic-state.ts"
import type { KvStore } from "./kv-store.ts"

const open = (): Promise<KvStore> => openTestStore("", { files: new MemoryFiles(), lock: NO_LOCK })

const IDS = tokenIds(7000, 1)

test.each([1, 100, 2047, 2048, 2049, 3000, 4095, 4096, 6143, 6144, 6500, 6999])(
  "a prompt that leaves a checkpoint after %d tokens is told so, with ids of both",
  async (common) => {
    const store = await open()
    await saveIds(store, tokenIds(5000, 2))
    await saveIds(store, withOther(IDS, Math.floor(common / 2), 4000, 3))
    await saveIds(store, IDS)
    const prompt = withOther(IDS, common, 3000, 4)
    expect(store.lookup(prompt)).toBeUndefined()
    const found = await store.explain(prompt)
    expect(found).toMatchObject({ common, tokens: 7000, isExact: true })
    expect(found?.stored).toEqual(IDS.slice(common, common + (found?.stored.length ?? 0)))
    expect(found?.stored.length).toBeGreaterThan(0)
    expect(found?.prompted).toEqual(prompt.slice(common, common + 16))
  },
)

test.each([1000, 2500, 3500, 4200, 5300])(
  "where shown and held ids differ, the shown ones count: %d tokens",
  async (common) => {
    const store = await open()
    const shown = withOther(IDS, 3000, 2500, 5)
    await store.save(new SyntheticState(IDS), { shown, held: IDS, reason: "turn" })
    const prompt = withOther(shown, common, 3000, 6)
    expect(await store.explain(prompt)).toMatchObject({ common, isExact: false })
  },
)

test("a prompt that ends within a checkpoint, or continues it, has nothing different", async () => {
  const store = await open()
  await saveIds(store, IDS)
  expect(await store.explain(IDS.subarray(0, 6500))).toMatchObject({
    common: 6500,
    prompted: new Int32Array(0),
  })
  const continued = await store.explain(longer(IDS))
  expect(continued).toMatchObject({ common: 7000, stored: new Int32Array(0) })
})

test("an empty store, and other first tokens, explain nothing", async () => {
  const store = await open()
  expect(await store.explain(IDS)).toBeUndefined()
  await saveIds(store, IDS)
  expect(await store.explain(withOther(IDS, 0, 50, 9))).toBeUndefined()
})
