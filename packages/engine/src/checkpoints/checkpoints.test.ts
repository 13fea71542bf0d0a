// States on disk under an engine over models/tiny: what a new process need not read again.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { loadModel, openEngine, type LoadedModel, type NativeEngine } from "../index.ts"
import {
  ANSWER,
  askGreedily,
  collect,
  plainGreedy,
  stream,
  TINY_MODEL,
} from "../testing/tiny-engine.ts"
import type { EngineOptions, GenerateRequest } from "../types.ts"

let loaded: LoadedModel
const folders: string[] = []
beforeAll(async () => {
  loaded = await loadModel(TINY_MODEL)
})
afterAll(async () => {
  await loaded.engine.close()
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

const newFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "ds4-kv-"))
  folders.push(folder)
  return folder
}

/** Work with an engine that keeps its states in a folder, as a process of its own would. */
async function withEngine<T>(
  folder: string,
  work: (
    ask: (request: GenerateRequest) => Promise<{ ids: number[]; cached: number }>,
    engine: NativeEngine,
    lines: string[],
  ) => Promise<T>,
  options: EngineOptions = {},
): Promise<T> {
  const lines: string[] = []
  const log = (line: string): void => void lines.push(line)
  const kvDisk = { folder, budgetBytes: 1e9, minimumFreeBytes: 0, leastSeconds: 0, log }
  const engine = await openEngine(loaded.file, loaded.tokenizer, { kvDisk, ...options })
  try {
    return await work(
      async (request) => {
        const { ids, cached } = await askGreedily(engine, request)
        return { ids, cached }
      },
      engine,
      lines,
    )
  } finally {
    await engine.close()
  }
}

test("after a restart a conversation goes on where it was, bit for bit", async () => {
  const folder = newFolder()
  const prompt = stream(1, 2300)
  const first = await withEngine(folder, (ask) => ask({ promptTokens: prompt }))
  const next = [...prompt, ...first.ids, 9, 8]
  const expected = plainGreedy(loaded.engine, next, ANSWER)
  await withEngine(folder, async (ask, engine) => {
    expect(await ask({ promptTokens: next })).toEqual({ ids: expected, cached: 2300 + ANSWER })
    expect(engine.stats().kvStore).toMatchObject({ loads: 1 })
  })
}, 240_000)

test("the shared beginning of another conversation is there too", async () => {
  const folder = newFolder()
  const system = stream(2, 700)
  await withEngine(folder, (ask) =>
    ask({
      promptTokens: [...system, ...stream(3, 100)],
      messageBegins: [700],
      preview: "Why is it so?",
    }),
  )
  await withEngine(folder, async (_, engine) => {
    const list = (await engine.kv?.list()) ?? []
    const words = list.map(({ reason, preview }) => `${reason} ${preview}`)
    expect(words).toContain("anchor undefined")
    expect(words).toContain("turn Why is it so?")
    expect(words).toHaveLength(2)
  })
  await withEngine(folder, async (ask) => {
    const other = [...system, ...stream(4, 90)]
    const { ids, cached } = await ask({ promptTokens: other })
    expect(cached).toBe(700)
    expect(ids).toEqual(plainGreedy(loaded.engine, other, ANSWER))
  })
}, 240_000)

test("a prompt that leaves out what was thought continues after a restart", async () => {
  const folder = newFolder()
  const prompt = stream(5, 300)
  const shownAs = (generated: readonly number[]) => [...prompt, ...generated.slice(1)]
  const first = await withEngine(folder, (ask) => ask({ promptTokens: prompt, shownAs }))
  await withEngine(folder, async (ask) => {
    const shown = [...prompt, ...first.ids.slice(1), 7, 6]
    expect((await ask({ promptTokens: shown })).cached).toBe(300 + ANSWER - 1)
  })
  await withEngine(folder, async (ask) => {
    const whole = [...prompt, ...first.ids, 7, 6]
    expect((await ask({ promptTokens: whole })).cached).toBe(300 + ANSWER)
  })
}, 240_000)

test("a damaged file is told and passed over: what it spared is read", async () => {
  const folder = newFolder()
  const prompt = stream(6, 400)
  const first = await withEngine(folder, (ask) =>
    ask({ promptTokens: prompt, messageBegins: [200] }),
  )
  for (const name of readdirSync(join(folder, "checkpoints"))) {
    const path = join(folder, "checkpoints", name)
    const bytes = readFileSync(path)
    const at = bytes.length - 400
    bytes[at] = (bytes[at] ?? 0) ^ 1
    writeFileSync(path, bytes)
  }
  await withEngine(folder, async (ask, _, lines) => {
    const next = [...prompt, ...first.ids, 9]
    const { ids, cached } = await ask({ promptTokens: next })
    expect({ ids, cached }).toEqual({ ids: plainGreedy(loaded.engine, next, ANSWER), cached: 0 })
    expect(lines.join("\n")).toContain("not loaded")
  })
}, 240_000)

test("states of other numerics are left alone", async () => {
  const folder = newFolder()
  const prompt = stream(7, 300)
  await withEngine(folder, (ask) => ask({ promptTokens: prompt }))
  await withEngine(
    folder,
    async (ask) => expect((await ask({ promptTokens: [...prompt, 1] })).cached).toBe(0),
    { numerics: "plain" },
  )
}, 240_000)

test("what is quickly read is not saved, and a folder that cannot be used is told", async () => {
  const folder = newFolder()
  const kvDisk = { folder, budgetBytes: 1e9, minimumFreeBytes: 0, leastSeconds: 1000 }
  await withEngine(folder, (ask) => ask({ promptTokens: stream(8, 200) }), { kvDisk })
  expect(readdirSync(join(folder, "checkpoints"))).toEqual([])
  const file = join(folder, "file")
  writeFileSync(file, "")
  const opening = openEngine(loaded.file, loaded.tokenizer, {
    kvDisk: { folder: file, budgetBytes: 1e9 },
  })
  expect(opening).rejects.toThrow(file)
  await opening.catch(() => {})
  const told = { folder: file, isOptional: true }
  await withEngine(
    folder,
    async (ask) => expect((await ask({ promptTokens: [1, 2] })).cached).toBe(0),
    {
      kvDisk: { ...kvDisk, ...told },
    },
  )
}, 240_000)

test("closing while states are loaded ends the loads, and later requests are told", async () => {
  const folder = newFolder()
  const prompt = stream(9, 2400)
  await withEngine(folder, (ask) => ask({ promptTokens: prompt }))
  for (let round = 0; round < 5; round++) {
    const kvDisk = { folder, budgetBytes: 1e9, minimumFreeBytes: 0 }
    const engine = await openEngine(loaded.file, loaded.tokenizer, { kvDisk })
    const asked = [1, 2, 3].map(async (last) =>
      collect(engine, { promptTokens: [...prompt, last] }).catch((error: unknown) => error),
    )
    await Bun.sleep(round)
    await engine.close()
    for (const answer of await Promise.all(asked))
      expect(answer instanceof Error ? answer.message : "ended").toMatch(/closed|ended/)
    expect(collect(engine, { promptTokens: [1] })).rejects.toThrow("closed")
  }
}, 240_000)
