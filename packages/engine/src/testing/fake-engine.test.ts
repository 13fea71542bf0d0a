// The fake must keep the rules of the real engine: the same cases, told in text.
import { expect, test } from "bun:test"
import { join } from "node:path"
import { openModelFile } from "@ds4/model-file"
import { loadTokenizer } from "@ds4/tokenizer"
import {
  EMBEDDED_MODEL_PATH,
  EngineError,
  type GenerateEvent,
  type GenerateRequest,
} from "../index.ts"
import { type FakeEngineOptions, fakeEngine } from "./fake-engine.ts"

const { tokenizer: source } = await openModelFile(join(EMBEDDED_MODEL_PATH))
if (source === undefined) throw new Error("the embedded model has no vocabulary")
const tokenizer = await loadTokenizer(source)
const think = tokenizer.special.get("</think>") ?? -1

const make = (script: FakeEngineOptions["script"], options: Partial<FakeEngineOptions> = {}) =>
  fakeEngine({ tokenizer, script, ...options })

async function collect(engine: ReturnType<typeof make>, request: GenerateRequest) {
  const events: GenerateEvent[] = []
  const ids: number[] = []
  for await (const event of engine.generate(request)) {
    events.push(event)
    if (event.type === "tokens") ids.push(...event.tokens.map(({ id }) => id))
  }
  const end = events.at(-1)
  if (end?.type !== "end") throw new Error("the last event is not an end")
  return { events, ids, end, text: tokenizer.decode(ids) }
}

test("it writes the scripted text and stops at the end token", async () => {
  const engine = make(({ promptTokens }) => `you sent ${promptTokens.length} tokens`)
  const { text, end, events } = await collect(engine, { promptTokens: [1, 2, 3] })
  expect(text).toBe("you sent 3 tokens")
  expect(end).toMatchObject({
    reason: "stop",
    stopToken: tokenizer.eos,
    usage: { promptTokens: 3, cachedTokens: 0 },
  })
  expect(events.slice(0, 2)).toEqual([
    { type: "prefill", processed: 0, total: 3, cached: 0 },
    { type: "prefill", processed: 3, total: 3, cached: 0 },
  ])
  expect(engine.requests.length).toBe(1)
  expect(engine.cancelled).toEqual([])
})

test("token limit, context limit, stop strings and prefill only", async () => {
  const engine = make(() => "alpha beta gamma delta", {
    batchTokens: 3,
    model: { contextTokens: 10 },
  })
  expect((await collect(engine, { promptTokens: [1], maxTokens: 4 })).end).toMatchObject({
    reason: "length",
    usage: { generatedTokens: 4 },
  })
  expect((await collect(engine, { promptTokens: [1, 2, 3, 4, 5, 6, 7] })).end).toMatchObject({
    reason: "context",
    usage: { generatedTokens: 3 },
  })
  expect((await collect(engine, { promptTokens: [1], maxTokens: 0 })).end).toMatchObject({
    reason: "length",
    usage: { generatedTokens: 0 },
  })
  const roomy = make(() => "alpha beta gamma delta")
  const hit = await collect(roomy, { promptTokens: [1], stopStrings: ["zeta", "eta ga"] })
  expect(hit.end).toMatchObject({ reason: "stop-string", stopString: "eta ga" })
  expect(hit.text).toContain("eta ga")
  expect(hit.text).not.toContain("delta")
})

test("thinking: stop strings count after it, the budget closes it", async () => {
  const engine = make(() => "one STOP two three four</think>five STOP six")
  const plain = await collect(engine, {
    promptTokens: [1],
    thinkCloseToken: think,
    stopStrings: ["STOP"],
  })
  expect(plain.text).toStartWith("one STOP two three four</think>five STOP")
  expect(plain.end.reason).toBe("stop-string")
  const cut = await collect(engine, {
    promptTokens: [1],
    thinkCloseToken: think,
    reasoningBudget: 3,
  })
  expect(cut.ids.indexOf(think)).toBe(3)
  expect(cut.text).toEndWith("</think>five STOP six")
})

test("the end of a tool block ends the answer when zones are on", async () => {
  const block =
    '\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name="a">\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>'
  const engine = make(() => `text${block} and more`)
  const { text, end } = await collect(engine, { promptTokens: [1], toolZones: true })
  expect(text).toBe(`text${block}`)
  expect(end.reason).toBe("stop")
  expect((await collect(engine, { promptTokens: [1] })).text).toEndWith("and more")
  const declared = { promptTokens: [1], toolZones: true, toolNames: ["b"] }
  expect((await collect(engine, declared)).text).toEndWith("and more")
  for (const other of [`\`\`\`\n${block}`, block.replace("name=", ""), "<tool_calls></tool_calls>"])
    expect(
      (
        await collect(
          make(() => `${other} and more`),
          { promptTokens: [1], toolZones: true },
        )
      ).text,
    ).toEndWith("and more")
})

test("logprobs are given when asked for, with as many alternatives", async () => {
  const { events } = await collect(
    make(() => "hi"),
    { promptTokens: [1], topLogprobs: 3 },
  )
  const batch = events.find((event) => event.type === "tokens")
  expect(batch?.type === "tokens" ? batch.tokens[0]?.top?.length : 0).toBe(3)
})

test("abort and early exit are recorded, and free the session", async () => {
  const engine = make(() => "word ".repeat(1000), { batchMs: 1, maxSessions: 1 })
  const abort = new AbortController()
  setTimeout(() => abort.abort(), 15)
  expect((await collect(engine, { promptTokens: [1], signal: abort.signal })).end.reason).toBe(
    "cancelled",
  )
  for await (const event of engine.generate({ promptTokens: [2] }))
    if (event.type === "tokens") break
  expect(engine.cancelled.map(({ promptTokens }) => promptTokens)).toEqual([[1], [2]])
  expect(engine.stats()).toMatchObject({ running: 0, queued: 0 })
})

test(
  "a script's error comes after its text, a bad request before the first event, a full queue " +
    "as BUSY",
  async () => {
    const engine = make(
      ({ promptTokens }) =>
        promptTokens[0] === 1
          ? { text: "ab", error: new EngineError("DEVICE", "the device is gone") }
          : "ok",
      {
        maxSessions: 1,
        maxQueue: 1,
        prefillMs: 5,
      },
    )
    const seen: string[] = []
    const run = async (): Promise<void> => {
      for await (const event of engine.generate({ promptTokens: [1] })) seen.push(event.type)
    }
    expect(run()).rejects.toThrow("the device is gone")
    await Bun.sleep(20)
    expect(seen).toContain("tokens")
    expect(collect(engine, { promptTokens: [] })).rejects.toThrow("the prompt is empty")
    const both = [collect(engine, { promptTokens: [2] }), collect(engine, { promptTokens: [3] })]
    expect(collect(engine, { promptTokens: [4] })).rejects.toThrow("try again later")
    await Promise.all(both)
  },
)

test(
  "the next turn counts what the session holds as cached, and close cancels " + "what runs",
  async () => {
    const engine = make(() => "hello", { batchMs: 1 })
    const first = await collect(engine, { promptTokens: [1, 2] })
    const next = await collect(engine, { promptTokens: [1, 2, ...first.ids, 9] })
    expect(next.end.usage.cachedTokens).toBe(2 + first.ids.length)
    const running = collect(
      make(() => "x ".repeat(500)),
      { promptTokens: [1] },
    )
    await Promise.all([running, engine.close()])
    expect(engine.isClosed).toBe(true)
  },
)
