// States that are saved and loaded by name, and the report of where a prompt went on from.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { loadModel, openEngine, type LoadedModel, type NativeEngine } from "../index.ts"
import { collect, GREEDY, idle, TINY_MODEL } from "../testing/tiny-engine.ts"
import type { CacheReport, GenerateRequest } from "../types.ts"

let loaded: LoadedModel
const folders: string[] = []
beforeAll(async () => {
  loaded = await loadModel(TINY_MODEL)
})
afterAll(async () => {
  await loaded.engine.close()
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "ds4-kv-"))
  folders.push(folder)
  return folder
}

/** An engine that saves nothing of itself, unless it is told how little is worth it. */
const open = (folder: string, leastSeconds = 1000): Promise<NativeEngine> =>
  openEngine(loaded.file, loaded.tokenizer, {
    kvDisk: { folder, budgetBytes: 1e9, minimumFreeBytes: 0, leastSeconds },
  })

const ids = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => (index * 31 + first * 7 + (index >> 3)) % 200)

interface Answer {
  readonly ids: number[]
  readonly cached: number
  readonly cache: CacheReport | undefined
}

async function ask(
  engine: NativeEngine,
  promptTokens: readonly number[],
  more: Partial<GenerateRequest> = {},
): Promise<Answer> {
  const request = { promptTokens, sampling: GREEDY, stopTokens: [], maxTokens: 3, ...more }
  const { ids: answer, end } = await collect(engine, request)
  await idle(engine)
  const { cachedTokens: cached, cache } = end.usage
  return { ids: answer, cached, cache }
}

const codeOf = async (work: Promise<unknown> | undefined): Promise<unknown> =>
  work?.then(
    () => "none",
    (error: { code?: string }) => error.code,
  )

test("a state outlasts the process by its name, with what prompts leave out", async () => {
  const folder = newFolder()
  const prompt = ids(1, 2300)
  const shownAs = (generated: readonly number[]): number[] => [...prompt, ...generated.slice(1)]
  const first = await open(folder)
  const { ids: answer } = await ask(first, prompt, { shownAs })
  const shown = [...prompt, ...answer.slice(1), 7, 6]
  const saved = await first.kv?.save(shown, { label: "sea", preview: "Why?" })
  expect(saved).toMatchObject({ saved: true, tokens: shown.length - 2 })
  await first.close()

  const second = await open(folder)
  const list = (await second.kv?.list()) ?? []
  expect(list).toMatchObject([
    { label: "sea", preview: "Why?", reason: "saved", tokens: shown.length - 2, isExact: false },
  ])
  const { key = "" } = list[0] ?? {}
  expect(await second.kv?.load(key)).toEqual({ tokens: shown.length - 2 })
  const next = await ask(second, shown)
  expect([next.cached, next.cache?.source]).toEqual([shown.length - 2, "memory"])
  expect(second.stats().kvStore).toMatchObject({ loads: 1 })
  await second.kv?.remove(key)
  expect([await second.kv?.list(), await codeOf(second.kv?.load(key))]).toEqual([[], "MISSING"])
  await second.close()
}, 240_000)

test("what nobody has read cannot be saved, and without a folder there are no files", async () => {
  const engine = await open(newFolder())
  expect(await codeOf(engine.kv?.save(ids(2, 50), { label: "x" }))).toBe("ARGUMENT")
  expect(engine.stats()).toMatchObject({ running: 0, queued: 0 })
  await engine.close()
  expect(loaded.engine.kv).toBeUndefined()
})

test("a request tells where its prompt leaves what is in memory", async () => {
  const engine = await open(newFolder())
  const prompt = ids(3, 400)
  expect((await ask(engine, prompt)).cache).toEqual({ source: "none" })
  while (engine.stats().prefixCache.prefixes === 0) await Bun.sleep(1)
  const edited = [...prompt.slice(0, 390), 201, 202, 203]
  const { cache, cached } = await ask(engine, edited)
  expect([cached, cache?.source]).toEqual([0, "none"])
  expect(cache?.nearest).toMatchObject({ tier: "memory", shared: 390, prompted: [201, 202, 203] })
  expect(cache?.nearest?.known.slice(0, 8)).toEqual(prompt.slice(390, 398))
  await engine.close()
}, 240_000)

test("after a restart it tells the same of the disk, when it is asked", async () => {
  const folder = newFolder()
  const prompt = ids(4, 600)
  const first = await open(folder, 0)
  const { ids: answer } = await ask(first, prompt)
  await first.close()
  const second = await open(folder, 1000)
  const edited = [...prompt.slice(0, 500), 201, 202]
  expect((await ask(second, edited)).cache).toEqual({ source: "none" })
  const third = await open(folder, 1000)
  const { cache } = await ask(third, edited, { explainCache: true })
  expect(cache?.source).toBe("none")
  expect(cache?.nearest).toMatchObject({ tier: "disk", shared: 500, prompted: [201, 202] })
  expect(cache?.nearest?.known).toEqual(prompt.slice(500, 508))
  const whole = await ask(third, [...prompt, ...answer, 5], { explainCache: true })
  expect([whole.cached, whole.cache?.source]).toEqual([603, "disk"])
  await second.close()
  await third.close()
}, 240_000)
