// Prompts that share a beginning with earlier ones, over models/tiny: how much is read again. The
// answers must be those of an engine that has read everything.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { loadModel, openEngine, type LoadedModel, type NativeEngine } from "./index.ts"
import {
  ANSWER,
  askGreedily,
  collect,
  GREEDY,
  idle,
  plainGreedy,
  stream,
  TINY_MODEL,
} from "./testing/tiny-engine.ts"
import type { GenerateRequest } from "./types.ts"

let loaded: LoadedModel
let engine: NativeEngine
beforeAll(async () => {
  loaded = await loadModel(TINY_MODEL, { maxSessions: 2, contextTokens: 8192 })
  engine = loaded.engine
})
afterAll(async () => {
  await engine.close()
})

async function ask(request: GenerateRequest) {
  const { ids, cached } = await askGreedily(engine, request)
  return { ids, cached }
}

test("the memory for states is a whole number of bytes, as the API describes it", () => {
  const { budgetBytes } = engine.stats().prefixCache
  expect(Number.isInteger(budgetBytes) && budgetBytes > 0).toBe(true)
})

test("asking again, asking otherwise and going on read only what is new", async () => {
  const system = stream(1, 300)
  const question = [...stream(2, 305), 3, 4]
  const prompt = [...system, ...question]
  const begins = [300, 605]
  const first = await ask({ promptTokens: prompt, messageBegins: begins })
  const expected = plainGreedy(engine, prompt, ANSWER)
  expect(first).toEqual({ ids: expected, cached: 0 })
  // The same once more: all but the opening of the answer.
  expect(await ask({ promptTokens: prompt, messageBegins: begins })).toEqual({
    ids: expected,
    cached: 605,
  })
  // Another question under the same system text.
  const other = [...system, ...stream(5, 100)]
  expect(await ask({ promptTokens: other, messageBegins: [300] })).toEqual({
    ids: plainGreedy(engine, other, ANSWER),
    cached: 300,
  })
  // The next turn: the prompt and the whole answer.
  const next = [...prompt, ...expected, ...stream(6, 40)]
  expect(await ask({ promptTokens: next, messageBegins: [...begins, 610] })).toEqual({
    ids: plainGreedy(engine, next, ANSWER),
    cached: prompt.length + ANSWER,
  })
})

test("a conversation is there after many others have used the sessions", async () => {
  const main = stream(11, 400)
  const { ids } = await ask({ promptTokens: main })
  for (let side = 0; side < 5; side++) await ask({ promptTokens: stream(20 + side, 90) })
  const next = [...main, ...ids, 7, 8]
  expect(await ask({ promptTokens: next })).toEqual({
    ids: plainGreedy(engine, next, ANSWER),
    cached: 400 + ANSWER,
  })
})

test("the turn after one that was interrupted goes on where that stood", async () => {
  const prompt = stream(31, 500)
  const abort = new AbortController()
  const made: number[] = []
  for await (const event of engine.generate({
    promptTokens: prompt,
    messageBegins: [497],
    sampling: GREEDY,
    stopTokens: [],
    signal: abort.signal,
  })) {
    if (event.type === "tokens") made.push(...event.tokens.map(({ id }) => id))
    if (made.length > 20) abort.abort()
  }
  await idle(engine)
  // Half of what was given: the session has surely gone further.
  const kept = [...prompt, ...made.slice(0, 10), 9, 10]
  expect(await ask({ promptTokens: kept })).toEqual({
    ids: plainGreedy(engine, kept, ANSWER),
    cached: 497,
  })
})

test("a prompt that was cancelled while it was read is read on from its last mark", async () => {
  const prompt = stream(41, 2700)
  const abort = new AbortController()
  for await (const event of engine.generate({ promptTokens: prompt, signal: abort.signal }))
    if (event.type === "prefill" && event.processed > 2048) abort.abort()
  await idle(engine)
  const { ids, cached } = await ask({ promptTokens: prompt })
  expect(cached).toBeGreaterThanOrEqual(2048)
  expect(ids).toEqual(plainGreedy(engine, prompt, ANSWER))
}, 240_000)

test("several requests at once read what they share once", async () => {
  const system = stream(51, 600)
  const ends = await Promise.all(
    [60, 61, 62, 63].map(
      async (each) =>
        await collect(engine, {
          promptTokens: [...system, ...stream(each, 70)],
          messageBegins: [600],
          sampling: GREEDY,
          stopTokens: [],
          maxTokens: ANSWER,
        }),
    ),
  )
  expect(ends.map(({ end }) => end.usage.cachedTokens)).toEqual([0, 600, 600, 600])
  for (const [index, { ids }] of ends.entries())
    expect(ids).toEqual(plainGreedy(engine, [...system, ...stream(60 + index, 70)], ANSWER))
})

test("the cache stays within its memory, and answers are the same without it", async () => {
  const page = engine.stats().prefixCache.bytes / 10
  const budget = Math.round(page * 4)
  const small = await openEngine(loaded.file, loaded.tokenizer, {
    contextTokens: 8192,
    cacheBytes: budget,
  })
  try {
    for (let round = 0; round < 2; round++)
      for (let first = 70; first < 90; first++) {
        const promptTokens = stream(first, 150)
        const { ids } = await collect(small, {
          promptTokens,
          sampling: GREEDY,
          stopTokens: [],
          maxTokens: ANSWER,
        })
        await idle(small)
        if (first % 5 === 0) expect(ids).toEqual(plainGreedy(engine, promptTokens, ANSWER))
      }
    // A session that settles still holds its own rows.
    for (let i = 0; i < 400 && small.stats().prefixCache.bytes > budget; i++) await Bun.sleep(5)
    const { prefixCache } = small.stats()
    expect(prefixCache.evictions).toBeGreaterThan(10)
    expect(prefixCache.bytes).toBeLessThanOrEqual(budget)
    expect(prefixCache.prefixes).toBeGreaterThan(0)
  } finally {
    await small.close()
  }
})
