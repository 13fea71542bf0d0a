// The native client over models/tiny: random weights, but the real path from request to tokens.
import { afterAll, beforeAll, expect, test } from "bun:test"
import {
  EMBEDDED_MODEL_NOTE,
  EMBEDDED_MODEL_PATH,
  EngineError,
  loadModel,
  openEngine,
  type LoadedModel,
  type NativeEngine,
  type SessionHandle,
} from "./index.ts"
import { codeOf, collect, GREEDY, plainGreedy, PROMPT, TINY_MODEL } from "./testing/tiny-engine.ts"

let loaded: LoadedModel
let engine: NativeEngine
beforeAll(async () => {
  loaded = await loadModel(TINY_MODEL, { maxSessions: 8, maxQueue: 4 })
  engine = loaded.engine
})
afterAll(async () => {
  await engine.close()
})

test("only the embedded model says that it is a demo, and no path means that one", async () => {
  expect(engine.model).toMatchObject({ vocab: 512, contextTokens: 4096, isDemo: false })
  const { engine: embedded } = await loadModel(undefined, { maxSessions: 1 })
  expect(embedded.model).toMatchObject({
    isDemo: true,
    path: EMBEDDED_MODEL_PATH,
    description: EMBEDDED_MODEL_NOTE,
  })
  await embedded.close()
})

test("greedy generation is the arg max of the logits, token for token", async () => {
  const { ids, end } = await collect(engine, {
    promptTokens: PROMPT,
    maxTokens: 24,
    sampling: GREEDY,
    stopTokens: [],
  })
  expect(ids).toEqual(plainGreedy(engine, PROMPT, 24))
  expect(end).toMatchObject({ reason: "length", usage: { promptTokens: 5, generatedTokens: 24 } })
})

test("a seed gives the same tokens alone and among seven other streams", async () => {
  const request = {
    promptTokens: [...PROMPT, 44],
    maxTokens: 40,
    sampling: { seed: 99 },
    stopTokens: [],
  }
  const alone = await collect(engine, request)
  const others = Array.from(
    { length: 7 },
    async (_, i) =>
      await collect(engine, {
        promptTokens: [0, 50 + i],
        maxTokens: 60,
        sampling: { seed: i },
        stopTokens: [],
      }),
  )
  const together = await collect(engine, request)
  await Promise.all(others)
  expect(together.ids).toEqual(alone.ids)
})

test(
  "the next turn continues the session of the last one, and gives what a fresh session " + "gives",
  async () => {
    const first = await collect(engine, {
      promptTokens: [0, 7, 8, 9],
      maxTokens: 10,
      sampling: GREEDY,
      stopTokens: [],
    })
    const prompt = [0, 7, 8, 9, ...first.ids, 100, 101]
    const second = await collect(engine, {
      promptTokens: prompt,
      maxTokens: 10,
      sampling: GREEDY,
      stopTokens: [],
    })
    expect(second.end.usage.cachedTokens).toBe(14)
    expect(second.events[0]).toEqual({ type: "prefill", processed: 14, total: 16, cached: 14 })
    expect(second.ids).toEqual(plainGreedy(engine, prompt, 10))
  },
)

test(
  "prompts that leave out what the session holds go on with it, turn after turn: the model " +
    "still sees it",
  async () => {
    const leftOut = 6
    const first = await collect(engine, {
      promptTokens: [0, 17, 18, 19],
      maxTokens: 10,
      sampling: GREEDY,
      stopTokens: [],
      shownAs: (generated) => [0, 17, 18, ...generated.slice(leftOut)],
    })
    const shown = [0, 17, 18, ...first.ids.slice(leftOut)]
    const prompt = [...shown, 100, 101]
    const held = [0, 17, 18, 19, ...first.ids, 100, 101]
    const second = await collect(engine, {
      promptTokens: prompt,
      maxTokens: 10,
      sampling: GREEDY,
      stopTokens: [],
    })
    expect(second.end.usage).toMatchObject({
      promptTokens: prompt.length,
      cachedTokens: shown.length,
    })
    expect(second.ids).toEqual(plainGreedy(engine, held, 10))
    const third = await collect(engine, {
      promptTokens: [...prompt, ...second.ids, 102],
      maxTokens: 4,
      sampling: GREEDY,
      stopTokens: [],
    })
    expect(third.end.usage.cachedTokens).toBe(prompt.length + 10)
    expect(third.ids).toEqual(plainGreedy(engine, [...held, ...second.ids, 102], 4))
  },
)

test("stop tokens, stop strings and the token limit end an answer as ds4.h says", async () => {
  const base = { promptTokens: PROMPT, sampling: GREEDY, maxTokens: 24 }
  const { ids } = await collect(engine, { ...base, stopTokens: [] })
  const at = 9
  const stopToken = ids[at] ?? -1
  const byToken = await collect(engine, { ...base, stopTokens: [stopToken] })
  expect(byToken.ids).toEqual(ids.slice(0, ids.indexOf(stopToken)))
  expect(byToken.end).toMatchObject({ reason: "stop", stopToken })
  // two neighbours that are plain text: the string begins in one token and ends in the next
  const texts = ids.map((id) => Buffer.from(loaded.tokenizer.tokenBytes(id)).toString("latin1"))
  const first = texts.findIndex((text, i) => /^[ -~]+$/.test(text + (texts[i + 1] ?? "\0")))
  expect(first).toBeGreaterThanOrEqual(0)
  const stopString = `${texts[first]?.at(-1)}${texts[first + 1]}`
  const byString = await collect(engine, {
    ...base,
    stopTokens: [],
    stopStrings: ["never in there", stopString],
  })
  const last = texts.findIndex((_, i) =>
    texts
      .slice(0, i + 1)
      .join("")
      .includes(stopString),
  )
  expect(byString.end).toMatchObject({ reason: "stop-string", stopString })
  expect(byString.ids).toEqual(ids.slice(0, last + 1))
  expect((await collect(engine, { ...base, maxTokens: 0 })).end).toMatchObject({
    reason: "length",
    usage: { generatedTokens: 0 },
  })
})

test("a request without output reads the prompt for a later request", async () => {
  const promptTokens = [0, ...Array.from({ length: 40 }, (_, index) => 200 + index)]
  const base = { promptTokens, sampling: GREEDY, stopTokens: [] }
  const cachedOf = async (maxTokens: number) =>
    (await collect(engine, { ...base, maxTokens })).end.usage.cachedTokens
  // The last token is read again: a session keeps no logits.
  expect([await cachedOf(0), await cachedOf(0)]).toEqual([0, promptTokens.length - 1])
  const warmed = await collect(engine, { ...base, maxTokens: 6 })
  expect(warmed.end.usage.cachedTokens).toBe(promptTokens.length - 1)
  expect(warmed.ids).toEqual(plainGreedy(engine, promptTokens, 6))
  const single = await collect(engine, { ...base, promptTokens: [0], maxTokens: 0 })
  expect(single.end).toMatchObject({ reason: "length", usage: { generatedTokens: 0 } })
})

test("logprobs are those of the logits", async () => {
  const { events } = await collect(engine, {
    promptTokens: PROMPT,
    maxTokens: 1,
    sampling: GREEDY,
    topLogprobs: 3,
    stopTokens: [],
  })
  const batch = events.find((event) => event.type === "tokens")
  const [token] = batch?.type === "tokens" ? batch.tokens : []
  const [row] = [...engine.logits(PROMPT, { mode: "last", topK: 3 })]
  expect(token?.id).toBe(row?.top[0]?.id ?? -1)
  // An event holds f32, a row f64. Measured 1.2e-7.
  expect(Math.abs((token?.logprob ?? 9) - (row?.top[0]?.logprob ?? NaN))).toBeLessThan(3.4e-7)
  expect(token?.top?.map(({ id }) => id)).toEqual(row?.top.map(({ id }) => id) ?? [])
})

test("logits of all positions are those of each prefix", () => {
  const rows = [...engine.logits(PROMPT, { mode: "all", topK: 1 })].map(({ position, top }) => ({
    position,
    id: top[0]?.id,
    logit: top[0]?.logit ?? 0,
  }))
  expect(rows.map(({ position }) => position)).toEqual([0, 1, 2, 3, 4])
  for (const { position, id, logit } of rows) {
    const [row] = [...engine.logits(PROMPT.slice(0, position + 1), { mode: "last", topK: 1 })]
    expect(row?.top[0]?.id).toBe(id ?? -1)
    expect(row?.top[0]?.logit).toBe(logit)
  }
})

test(
  "requests that cannot work are refused before the first event, and the engine " + "goes on",
  async () => {
    expect(await codeOf(engine, { promptTokens: [] })).toBe("ARGUMENT")
    expect(await codeOf(engine, { promptTokens: [1, 512] })).toBe("ARGUMENT")
    expect(await codeOf(engine, { promptTokens: [1.5] })).toBe("ARGUMENT")
    expect(await codeOf(engine, { promptTokens: [1], stopTokens: [-3] })).toBe("ARGUMENT")
    expect(await codeOf(engine, { promptTokens: [1], stopStrings: [""] })).toBe("ARGUMENT")
    expect(await codeOf(engine, { promptTokens: [1], topLogprobs: 21 })).toBe("ARGUMENT")
    expect(await codeOf(engine, { promptTokens: [1], sampling: { temperature: NaN } })).toBe(
      "ARGUMENT",
    )
    expect(await codeOf(engine, { promptTokens: [1], sampling: { seed: 0.5 } })).toBe("ARGUMENT")
    expect(await codeOf(engine, { promptTokens: [1], reasoningBudget: 5 })).toBe("ARGUMENT")
    expect(await codeOf(engine, { promptTokens: Array.from({ length: 4097 }, () => 1) })).toBe(
      "CONTEXT_FULL",
    )
    expect(
      (await collect(engine, { promptTokens: [1], maxTokens: 1 })).events.length,
    ).toBeGreaterThan(1)
  },
)

test("options that the library refuses are errors with its text", async () => {
  const refused = await openEngine(loaded.file, loaded.tokenizer, { threads: 5000 }).catch(
    (error: unknown) => error,
  )
  expect(refused).toBeInstanceOf(EngineError)
  expect(refused).toMatchObject({ code: "ARGUMENT", message: "threads is 5000; expected 0..1024" })
  const broken = { ...loaded.file, tensors: loaded.file.tensors.slice(1) }
  expect(openEngine(broken, loaded.tokenizer)).rejects.toMatchObject({ code: "FORMAT" })
})

test("an answer ends where the context is full", async () => {
  await using small = Object.assign(
    await openEngine(loaded.file, loaded.tokenizer, { contextTokens: 16 }),
    {
      async [Symbol.asyncDispose](this: NativeEngine) {
        await this.close()
      },
    },
  )
  const { ids, end } = await collect(small, {
    promptTokens: [0, 1, 2, 3],
    stopTokens: [],
    sampling: { seed: 1 },
  })
  expect([ids.length, end.reason]).toEqual([12, "context"])
  const full = await collect(small, {
    promptTokens: Array.from({ length: 16 }, (_, i) => i),
    stopTokens: [],
  })
  expect([full.ids.length, full.end.reason]).toEqual([0, "context"])
})

test("a snapshot restored into another session continues as the first does", () => {
  using one = engine.openSession(64)
  using two = engine.openSession(64)
  const step = (session: SessionHandle, tokens: number[]): Float32Array =>
    engine.step([{ session, tokens, rows: "LAST" }])
  step(one, [0, 5, 6, 7, 8, 9])
  const saved = one.snapshot()
  const expected = step(one, [10, 11])
  expect(() => two.restore(saved.subarray(0, saved.length - 1))).toThrow()
  expect(two.position).toBe(0)
  two.restore(saved)
  expect([one.position, two.position]).toEqual([8, 6])
  expect(step(two, [10, 11])).toEqual(expected)
  one.reset()
  expect(one.position).toBe(0)
  expect(() => step(one, [])).toThrow("at least one token")
  one.close()
  expect(() => one.position).toThrow("this session has been closed")
})
