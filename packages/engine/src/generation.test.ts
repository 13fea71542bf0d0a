// Generations that are cancelled, left, refused or closed, over models/tiny.
import { afterAll, beforeAll, expect, test } from "bun:test"
import { EngineError, loadModel, openEngine, type LoadedModel, type NativeEngine } from "./index.ts"
import { codeOf, collect, GREEDY, idle, plainGreedy, TINY_MODEL } from "./testing/tiny-engine.ts"

let loaded: LoadedModel
let engine: NativeEngine
beforeAll(async () => {
  loaded = await loadModel(TINY_MODEL, { maxSessions: 8, maxQueue: 4 })
  engine = loaded.engine
})
afterAll(async () => {
  await engine.close()
})

test(
  "abort ends the answer at once, and a request that is already aborted does not " + "begin",
  async () => {
    const abort = new AbortController()
    const seen: number[] = []
    let reason = ""
    for await (const event of engine.generate({
      promptTokens: [0, 201, 202],
      stopTokens: [],
      sampling: { seed: 4 },
      signal: abort.signal,
    })) {
      if (event.type === "tokens") seen.push(...event.tokens.map(({ id }) => id))
      if (seen.length >= 5) abort.abort()
      if (event.type === "end") ({ reason } = event)
    }
    expect(reason).toBe("cancelled")
    await idle(engine)
    expect(
      await collect(engine, { promptTokens: [1, 2], signal: AbortSignal.abort() }),
    ).toMatchObject({
      ids: [],
      end: { reason: "cancelled" },
    })
  },
)

test("leaving the loop early cancels the work and gives the session back", async () => {
  for (let i = 0; i < 20; i++) {
    for await (const event of engine.generate({ promptTokens: [0, 210, i], stopTokens: [] }))
      if (event.type === "tokens") break
  }
  await idle(engine)
})

test(
  "a hundred requests with random aborts all end, the rest right, and no session " + "is lost",
  async () => {
    await using busy = Object.assign(
      await openEngine(loaded.file, loaded.tokenizer, { maxSessions: 4, maxQueue: 200 }),
      {
        async [Symbol.asyncDispose](this: NativeEngine) {
          await this.close()
        },
      },
    )
    let state = 7
    const random = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
      return (state >> 8) % below
    }
    const expected = plainGreedy(engine, [0, 3], 12)
    const ends = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const abort = new AbortController()
        if (random(2) === 0) setTimeout(() => abort.abort(), random(120))
        const { ids, end } = await collect(busy, {
          promptTokens: [0, 3],
          maxTokens: 12,
          sampling: GREEDY,
          stopTokens: [],
          signal: abort.signal,
        })
        if (end.reason === "length") expect(ids).toEqual(expected)
        else expect(ids).toEqual(expected.slice(0, ids.length))
        return end.reason
      }),
    )
    expect(new Set(ends).isSubsetOf(new Set(["length", "cancelled"]))).toBe(true)
    await idle(busy)
  },
)

test("more requests than may wait are refused as BUSY", async () => {
  await idle(engine)
  const abort = new AbortController()
  const running = Array.from(
    { length: 12 },
    async (_, i) =>
      await collect(engine, { promptTokens: [0, 30 + i], stopTokens: [], signal: abort.signal }),
  )
  await Bun.sleep(5)
  expect(engine.stats()).toMatchObject({ running: 8, queued: 4 })
  expect(await codeOf(engine, { promptTokens: [1] })).toBe("BUSY")
  abort.abort()
  for (const { end } of await Promise.all(running)) expect(end.reason).toBe("cancelled")
})

test("the event loop keeps its turns while eight streams run", async () => {
  await idle(engine)
  const abort = new AbortController()
  const streams = Array.from(
    { length: 8 },
    async (_, i) =>
      await collect(engine, {
        promptTokens: [0, 60 + i],
        stopTokens: [],
        maxTokens: 400,
        signal: abort.signal,
      }),
  )
  const lags: number[] = []
  for (let i = 0; i < 60; i++) {
    const begin = performance.now()
    await Bun.sleep(5)
    lags.push(performance.now() - begin - 5)
  }
  abort.abort()
  await Promise.all(streams)
  lags.sort((a, b) => a - b)
  // The median was 1 to 3 ms on two cores beside a full-size workload. A blocking call would show
  // as a whole step.
  expect(lags[30]).toBeLessThan(25)
})

test("closing cancels what runs, refuses what comes and can be repeated", async () => {
  const closing = await openEngine(loaded.file, loaded.tokenizer, { maxSessions: 1 })
  const running = collect(closing, { promptTokens: [0, 1], stopTokens: [] })
  const waiting = collect(closing, { promptTokens: [0, 2], stopTokens: [] }).then(
    () => "ended",
    (error: unknown) => (error as EngineError).code,
  )
  await Bun.sleep(10)
  await Promise.all([closing.close(), closing.close()])
  expect((await running).end.reason).toBe("cancelled")
  expect(await waiting).toBe("CANCELLED")
  expect(collect(closing, { promptTokens: [0] })).rejects.toThrow("closed")
})

test("closing does not wait for a consumer that stopped asking, and that one still gets " +
  "an end", async () => {
  const closing = await openEngine(loaded.file, loaded.tokenizer, { maxSessions: 2 })
  const aborted = new AbortController()
  const idle = [
    closing.generate({ promptTokens: [0, 1], stopTokens: [] }),
    closing.generate({ promptTokens: [0, 2], stopTokens: [], signal: aborted.signal }),
  ]
  for (const each of idle) expect((await each.next()).value?.type).toBe("prefill")
  aborted.abort()
  await closing.close()
  for (const each of idle) {
    const rest = await Array.fromAsync(each)
    expect(rest.at(-1)).toMatchObject({ type: "end", reason: "cancelled" })
  }
}, 120_000)

test("a process ends by itself while an answer is awaited, and only after it", async () => {
  const { pathname } = new URL("./index.ts", import.meta.url)
  const script = `
    const { loadModel } = await import(${JSON.stringify(pathname)})
    const { engine } = await loadModel(${JSON.stringify(TINY_MODEL)})
    let count = 0
    const request = { promptTokens: [0, 1], maxTokens: 30, stopTokens: [] }
    for await (const event of engine.generate(request))
      if (event.type === "tokens") count += event.tokens.length
    console.log(count)`
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "pipe" })
  expect([await new Response(child.stdout).text(), await child.exited]).toEqual(["30\n", 0])
}, 120_000)
