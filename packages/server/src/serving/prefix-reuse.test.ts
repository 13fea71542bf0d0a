// How much of a prompt is read again by those who ask again, edit, interrupt or come back.
import { expect, test } from "bun:test"
import { harness, type Harness } from "../testing/harness.ts"

const CALL =
  "Look it up.</think>I ask.\n\n<｜DSML｜tool_calls>\n" +
  '<｜DSML｜invoke name="find">\n' +
  '<｜DSML｜parameter name="what" string="true">x</｜DSML｜parameter>\n' +
  "</｜DSML｜invoke>\n</｜DSML｜tool_calls>"
const FIND = {
  type: "function",
  function: {
    name: "find",
    parameters: { type: "object", properties: { what: { type: "string" } } },
  },
}
const SYSTEM = { role: "system", content: "You help. ".repeat(60) }
const user = (content: string) => ({ role: "user", content })

interface Completion {
  choices: { message: { role: string; content: string; tool_calls?: { id: string }[] } }[]
  usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } }
}

async function ask(server: Harness, messages: unknown[], more: Record<string, unknown> = {}) {
  const answer = await server.post("/v1/chat/completions", { messages, ...more })
  expect(answer.status).toBe(200)
  const { choices, usage } = (await answer.json()) as Completion
  const cached = usage.prompt_tokens_details.cached_tokens
  return { message: choices[0]?.message, cached, prompt: usage.prompt_tokens }
}

/** The part of what could be known that was: of all but the last `fresh` tokens of the prompt. */
const share = ({ cached, prompt }: { cached: number; prompt: number }, fresh = 0): number =>
  cached / (prompt - fresh)

test("regenerate: the same prompt again", async () => {
  const server = harness()
  const messages = [SYSTEM, user("Why is that so?")]
  expect((await ask(server, messages)).cached).toBe(0)
  expect(share(await ask(server, messages))).toBeGreaterThan(0.95)
})

test("another question under the same system text", async () => {
  const server = harness()
  await ask(server, [SYSTEM, user("Why?")])
  const other = "Something else entirely?"
  expect(share(await ask(server, [SYSTEM, user(other)]), other.length)).toBeGreaterThan(0.95)
})

test("a question in the middle of a conversation that is edited", async () => {
  const server = harness({ script: () => "word ".repeat(40) })
  const messages: unknown[] = [SYSTEM]
  for (const question of ["one ".repeat(50), "two ".repeat(50), "three"]) {
    messages.push(user(question))
    const { message } = await ask(server, messages, { thinking: false })
    messages.push(message)
  }
  const edited = [...messages.slice(0, 3), user("two, but otherwise")]
  expect(share(await ask(server, edited, { thinking: false }), 25)).toBeGreaterThan(0.95)
})

test("the turn after an answer that a stop string ended", async () => {
  const server = harness({ script: () => "alpha beta STOP gamma" })
  const messages = [SYSTEM, user("Go on.")]
  const more = { thinking: false }
  const { message } = await ask(server, messages, { ...more, stop: ["STOP"] })
  expect(message?.content).toBe("alpha beta ")
  const next = await ask(server, [...messages, message, user("And?")], more)
  expect(share(next, 20)).toBeGreaterThan(0.95)
})

test("the turn after an agent that was interrupted", async () => {
  const server = harness({ script: () => "thinking it over ".repeat(200), tokenMs: 1 })
  const messages = [SYSTEM, user("Refactor all of it. ".repeat(20))]
  const abort = new AbortController()
  const request = new Request("http://localhost/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages, tools: [FIND], stream: true }),
    signal: abort.signal,
  })
  const response = await server.app.handle(request)
  const reader = response.body?.getReader()
  for (let frames = 0; frames < 5; frames++) await reader?.read()
  abort.abort()
  await reader?.cancel().catch(() => {})
  while (server.engine.stats().running > 0) await Bun.sleep(1)
  const after = [...messages, user("Stop. Do only the first part.")]
  expect(share(await ask(server, after, { tools: [FIND] }), 40)).toBeGreaterThan(0.95)
})

test("the turn after a call whose client drops the reasoning, or sends it", async () => {
  for (const isSent of [false, true]) {
    const server = harness({
      script: ({ promptTokens }) =>
        promptTokens.length < 1900 ? CALL : "So it is.</think>It is x.",
    })
    const messages = [SYSTEM, user("What is it? ".repeat(40))]
    const first = await ask(server, messages, { tools: [FIND] })
    const { message } = first
    const call = message?.tool_calls?.[0]
    expect(call?.id).toBeString()
    const sent = { ...message, ...(isSent ? {} : { reasoning_content: undefined }) }
    const result = { role: "tool", tool_call_id: call?.id, content: "x" }
    const next = await ask(server, [...messages, sent, result], { tools: [FIND] })
    expect(next.cached).toBeGreaterThan(first.prompt)
    expect(share(next, 60)).toBeGreaterThan(0.95)
  }
})

test("a conversation that four side requests have come between", async () => {
  const server = harness({ script: () => "Yes. ".repeat(20) })
  const messages = [SYSTEM, user("Begin.")]
  const { message } = await ask(server, messages, { thinking: false })
  for (const title of ["a", "b", "c", "d"])
    await ask(server, [user(`Give a title to: ${title.repeat(200)}`)], { thinking: false })
  const next = await ask(server, [...messages, message, user("Go on.")], { thinking: false })
  expect(share(next, 20)).toBeGreaterThan(0.95)
})

test("statistics tell what the cache holds and how often it served", async () => {
  const server = harness()
  for (let times = 0; times < 2; times++) await ask(server, [SYSTEM, user("Why?")])
  const stats = (await (await server.get("/v1/stats")).json()) as { prefix_cache: unknown }
  expect(stats.prefix_cache).toMatchObject({ hits: 1, misses: 1, evictions: 0 })
  const metrics = await (await server.get("/metrics")).text()
  expect(metrics).toContain("ds4_prefix_cache_hits_total 1")
})
