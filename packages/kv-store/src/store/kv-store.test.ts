import { expect, test } from "bun:test"
import { readdirSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import type { KvStore } from "../index.ts"
import {
  codeOf,
  longer,
  openTestStore as open,
  saveIds as save,
} from "../testing/open-test-store.ts"
import {
  collect,
  SyntheticState,
  TEST_MODEL,
  tokenIds,
  withOther,
} from "../testing/synthetic-state.ts"
import { temporaryFolder } from "../testing/temporary-folder.ts"

test.each([1, 127, 128, 129, 511, 2047, 2048, 2049, 6000])(
  "a state of %d tokens comes back byte for byte, also after the store is opened again",
  async (length) => {
    const folder = temporaryFolder()
    const ids = tokenIds(length, length)
    const expected = new SyntheticState(ids).snapshot()
    for (const round of ["same", "again"]) {
      await using store = await open(folder)
      if (round === "same") expect(await save(store, ids)).toMatchObject({ saved: true })
      const match = store.lookup(longer(ids))
      expect(match).toMatchObject({ tokens: length, position: length, isExact: true })
      const bytes = await collect(store.read(match?.key ?? "", { prompt: longer(ids) }))
      expect(Buffer.compare(bytes, expected)).toBe(0)
    }
  },
)

test("a prompt must be longer than what it finds", async () => {
  await using store = await open(temporaryFolder())
  const ids = tokenIds(2100, 1)
  await save(store, ids)
  await save(store, ids.subarray(0, 2048))
  expect(store.lookup(ids)).toMatchObject({ tokens: 2048 })
  expect(store.lookup(ids.subarray(0, 2048))).toBeUndefined()
  expect(store.lookup(longer(ids), { above: 2100 })).toBeUndefined()
  expect(store.lookup(withOther(ids, 2099, 10, 5))).toMatchObject({ tokens: 2048 })
  expect(store.lookup(withOther(ids, 2047, 10, 5))).toBeUndefined()
})

test("a continued save writes only what is new", async () => {
  const folder = temporaryFolder()
  await using store = await open(folder)
  const ids = tokenIds(9000, 2)
  const pageFile = 2048 * 8 + 8 + 4096 + 24
  const first = await save(store, ids.subarray(0, 6500))
  expect(first).toMatchObject({ segmentsWritten: 3 })
  const second = await save(store, ids)
  expect(second).toMatchObject({ segmentsWritten: 1 })
  expect(second.saved ? second.bytesWritten : 0).toBeLessThan(2 * pageFile + 8192)
  expect(await save(store, ids)).toMatchObject({ bytesWritten: 0 })
  expect(readdirSync(join(folder, "segments"))).toHaveLength(4)
  expect(
    store
      .list()
      .map(({ tokens }) => tokens)
      .toSorted((a, b) => a - b),
  ).toEqual([6500, 9000])
})

test("a fork shares the pages of its beginning", async () => {
  const folder = temporaryFolder()
  await using store = await open(folder)
  const ids = tokenIds(8192, 3)
  await save(store, ids)
  expect(await save(store, withOther(ids, 5000, 3192, 4))).toMatchObject({ segmentsWritten: 2 })
  expect(readdirSync(join(folder, "segments"))).toHaveLength(6)
})

test("files are private, and nothing temporary is left", async () => {
  const folder = temporaryFolder()
  await using store = await open(folder)
  await save(store, tokenIds(5000, 4))
  const mode = (name: string): string => (statSync(join(folder, name)).mode & 0o777).toString(8)
  expect(["", "segments", "checkpoints", "tmp", "quarantine"].map(mode)).toEqual(
    Array.from({ length: 5 }, () => "700"),
  )
  for (const kind of ["segments", "checkpoints"])
    for (const name of readdirSync(join(folder, kind))) expect(mode(join(kind, name))).toBe("600")
  expect(["index.log", "lock"].map(mode)).toEqual(["600", "600"])
  expect(readdirSync(join(folder, "tmp"))).toEqual([])
})

test("what is shown finds what is held", async () => {
  const folder = temporaryFolder()
  const held = tokenIds(7000, 5)
  // Reasoning of 1,500 tokens is left out of prompts.
  const shown = Int32Array.from([...held.subarray(0, 3000), ...held.subarray(4500)])
  for (const round of ["same", "again"]) {
    await using store = await open(folder)
    if (round === "same") {
      const state = new SyntheticState(held)
      await store.save(state, { shown, held, reason: "turn" })
    }
    const match = store.lookup(longer(shown))
    expect(match).toMatchObject({ tokens: 5500, position: 7000, isExact: false })
    expect(store.lookup(longer(held))).toBeUndefined()
    expect(store.lookup(longer(shown), { exact: true })).toBeUndefined()
    const bytes = await collect(store.read(match?.key ?? "", { prompt: longer(shown) }))
    expect(Buffer.compare(bytes, new SyntheticState(held).snapshot())).toBe(0)
    expect(await store.shown(match?.key ?? "", held)).toEqual(shown)
  }
})

test("a read for another prompt is refused, and its checkpoint is not found again", async () => {
  await using store = await open(temporaryFolder())
  const held = tokenIds(5000, 6)
  const shown = withOther(held, 3000, 1500, 7)
  await store.save(new SyntheticState(held), { shown, held, reason: "turn" })
  for (const at of [0, 2047, 2999, 3000, 4499]) {
    const key = store.lookup(longer(shown))?.key ?? ""
    const wrong = longer(shown)
    wrong[at] = (wrong[at] ?? 0) + 1
    expect(await codeOf(collect(store.read(key, { prompt: wrong })))).toBe("MISMATCH")
    expect(store.lookup(longer(shown))).toBeUndefined()
    await store.save(new SyntheticState(held), { shown, held, reason: "turn" })
  }
})

test("text and attachment come back", async () => {
  await using store = await open(temporaryFolder())
  const shown = tokenIds(50, 8)
  const text = "Grüße ".repeat(5000)
  const attachment = Buffer.from('{"calls":[1]}')
  const state = new SyntheticState(shown)
  const result = await store.save(state, { shown, reason: "explicit", text, attachment })
  const key = result.saved ? result.key : ""
  expect(await store.text(key)).toBe(text)
  expect(Buffer.from((await store.attachment(key)) ?? []).toString()).toBe('{"calls":[1]}')
  const bare = await save(store, tokenIds(51, 9))
  expect(await store.text(bare.saved ? bare.key : "")).toBeUndefined()
})

test("what does not belong together is refused", async () => {
  await using store = await open(temporaryFolder())
  const ids = tokenIds(3000, 10)
  const state = new SyntheticState(ids)
  const other = { ...TEST_MODEL, numerics: 5 }
  expect(await codeOf(store.save(state, { shown: longer(ids), reason: "turn" }))).toBe("ARGUMENT")
  expect(await codeOf(store.save(state, { shown: tokenIds(3000, 11), reason: "turn" }))).toBe(
    "ARGUMENT",
  )
  const foreign = new SyntheticState(ids, { compatibility: other })
  expect(await codeOf(store.save(foreign, { shown: ids, reason: "turn" }))).toBe("INCOMPATIBLE")
  expect(store.list()).toEqual([])
})

test("another model's, tokenizer's or numerics' checkpoints are listed, never found", async () => {
  const folder = temporaryFolder()
  const ids = tokenIds(5000, 12)
  {
    await using store = await open(folder)
    await save(store, ids)
  }
  for (const change of [{ model: 1n }, { numerics: 5 }, { tokenizer: "u" }]) {
    await using store = await open(folder, { compatibility: { ...TEST_MODEL, ...change } })
    expect(store.lookup(longer(ids))).toBeUndefined()
    expect(store.list()).toMatchObject([{ tokens: 5000, isUsable: false }])
    expect(() => store.read(store.list()[0]?.key ?? "")).toThrow("another model")
  }
})

test("removing one checkpoint leaves what others need", async () => {
  const folder = temporaryFolder()
  await using store = await open(folder)
  const ids = tokenIds(6500, 13)
  const short = await save(store, ids.subarray(0, 4500), "kept")
  const long = await save(store, ids)
  await store.remove(long.saved ? long.key : "")
  expect(readdirSync(join(folder, "segments"))).toHaveLength(2)
  await collect(store.read(store.lookup(ids)?.key ?? "", { prompt: ids }))
  await store.remove(short.saved ? short.key : "")
  expect(readdirSync(join(folder, "segments"))).toEqual([])
  expect(store.stats).toMatchObject({ checkpoints: 0, segments: 0, bytes: 0 })
  expect(await codeOf(store.remove(short.saved ? short.key : ""))).toBe("MISSING")
})

test("a label can be given to a checkpoint that is there", async () => {
  const folder = temporaryFolder()
  const ids = tokenIds(3000, 14)
  {
    await using store = await open(folder)
    await save(store, ids)
    expect(await save(store, ids, "before the merge")).toMatchObject({ segmentsWritten: 0 })
    expect(store.list()).toMatchObject([{ label: "before the merge" }])
    await save(store, ids)
  }
  await using store = await open(folder)
  expect(store.list()).toMatchObject([{ label: "before the merge" }])
})

test("uses outlive the process, and a missing or damaged log costs nothing else", async () => {
  const folder = temporaryFolder()
  const ids = tokenIds(3000, 15)
  const uses = (store: KvStore): number | undefined => store.list()[0]?.uses
  {
    await using store = await open(folder)
    await save(store, ids)
    for (let i = 0; i < 3; i++) await collect(store.read(store.lookup(longer(ids))?.key ?? ""))
    expect(uses(store)).toBe(3)
  }
  {
    await using store = await open(folder)
    expect(uses(store)).toBe(3)
  }
  const log = join(folder, "index.log")
  const bytes = await Bun.file(log).bytes()
  // A record torn in the middle costs itself alone.
  await Bun.write(log, Buffer.concat([bytes.subarray(0, -100), bytes.subarray(-72)]))
  {
    await using store = await open(folder)
    expect(uses(store)).toBe(2)
  }
  for (const content of [
    "",
    "no log",
    Buffer.concat([bytes.subarray(0, 10), bytes.subarray(11)]),
  ]) {
    await Bun.write(log, content)
    await using store = await open(folder)
    expect(uses(store)).toBe(0)
    await collect(store.read(store.lookup(longer(ids))?.key ?? ""))
    expect(uses(store)).toBe(1)
  }
})

test("two saves at once write the pages that both need once, and the third waits", async () => {
  const folder = temporaryFolder()
  await using store = await open(folder)
  const ids = tokenIds(20_480, 16)
  const forks = [20, 21, 22].map((seed) => withOther(ids, ids.length, 2048, seed))
  const saves = forks.map((fork) => save(store, fork))
  expect(store.stats.pendingSaves).toBe(3)
  const written = (await Promise.all(saves)).map((each) => (each.saved ? each.segmentsWritten : -1))
  expect(written.reduce((sum, each) => sum + each, 0)).toBe(13)
  expect(store.stats).toMatchObject({ pendingSaves: 0, checkpoints: 3, segments: 13 })
})

test("closing waits for saves", async () => {
  const folder = temporaryFolder()
  const ids = tokenIds(9000, 17)
  const store = await open(folder)
  const saves = [4000, 6000, 9000].map((length) => save(store, ids.subarray(0, length)))
  await store.close()
  for (const each of await Promise.all(saves)) expect(each).toMatchObject({ saved: true })
})

test("a folder that somebody removes costs its contents, and no error but a refusal", async () => {
  const folder = temporaryFolder()
  await using store = await open(folder)
  const ids = tokenIds(3000, 18)
  await save(store, ids)
  rmSync(folder, { recursive: true })
  expect(await save(store, tokenIds(50, 19))).toMatchObject({ saved: false, reason: "failed" })
  const key = store.lookup(longer(ids))?.key ?? ""
  expect(await codeOf(collect(store.read(key)))).toBe("FOLDER")
})

test("a preview comes back in lists, cut to a size that a head can hold", async () => {
  await using store = await open(temporaryFolder())
  const shown = tokenIds(10, 23)
  const preview = "é".repeat(5000)
  await store.save(new SyntheticState(shown), { shown, reason: "turn", preview, model: "demo" })
  expect(store.list()).toMatchObject([{ preview: "é".repeat(1000), model: "demo" }])
})

test("a closed store says so", async () => {
  const store = await open(temporaryFolder())
  await store.close()
  await store.close()
  expect(() => store.lookup(tokenIds(5, 1))).toThrow("closed")
  expect(await codeOf(save(store, tokenIds(5, 1)))).toBe("CLOSED")
})
