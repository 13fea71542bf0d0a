// An answer that repeats itself ends with a detail that says so: in every API, streamed and whole.
import { describe, expect, test } from "bun:test"
import { type Harness, harness } from "../testing/harness.ts"
import { parseFrames } from "../testing/frames.ts"

const LOOP = `</think>Well. ${"I will look at it again. ".repeat(60)}`
const ARGUMENTS = '{"city":"Rome"}'
const CALL =
  '</think>\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name="find">\n<｜DSML｜parameter name="city" ' +
  'string="true">Rome</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>'
const parameters = { type: "object" }

/** For each API: a conversation with two vain calls, and the place of the end in its answer. */
const chat = (id: string) => [
  { role: "assistant", tool_calls: [{ id, function: { name: "find", arguments: ARGUMENTS } }] },
  { role: "tool", tool_call_id: id, content: "unknown" },
]
const anthropic = (id: string) => [
  { role: "assistant", content: [{ type: "tool_use", id, name: "find", input: { city: "Rome" } }] },
  { role: "user", content: [{ type: "tool_result", tool_use_id: id, content: "unknown" }] },
]
const responses = (id: string) => [
  { type: "function_call", call_id: id, name: "find", arguments: ARGUMENTS },
  { type: "function_call_output", call_id: id, output: "unknown" },
]
const user = { role: "user", content: "hi" }
type Json = Record<string, unknown>
const APIS: { path: string; body: Json; endOf: (answer: string, stream: boolean) => Json }[] = [
  {
    path: "/v1/chat/completions",
    body: {
      messages: [user, ...chat("a"), ...chat("b")],
      tools: [{ type: "function", function: { name: "find", parameters } }],
    },
    endOf: (answer, stream) => {
      const found = stream ? dataOf(answer).at(-1) : JSON.parse(answer)
      return (found as { choices: [Json] }).choices[0]
    },
  },
  {
    path: "/v1/messages",
    body: {
      max_tokens: 50_000,
      messages: [user, ...anthropic("a"), ...anthropic("b")],
      tools: [{ name: "find", input_schema: parameters }],
    },
    endOf: (answer, stream) =>
      stream ? (dataOf(answer).at(-2) as { delta: Json }).delta : (JSON.parse(answer) as Json),
  },
  {
    path: "/v1/responses",
    body: {
      input: [user, ...responses("a"), ...responses("b")],
      tools: [{ type: "function", name: "find", parameters }],
    },
    endOf: (answer, stream) =>
      stream
        ? (dataOf(answer).at(-1) as { response: Json }).response
        : (JSON.parse(answer) as Json),
  },
]

const dataOf = (text: string): unknown[] =>
  parseFrames(text)
    .filter(({ data }) => data !== "[DONE]")
    .map(({ data }) => JSON.parse(data) as unknown)

async function ask(server: Harness, { path, body, endOf }: (typeof APIS)[number], stream: boolean) {
  const answer = await (await server.post(path, { ...body, stream })).text()
  return { answer, end: endOf(answer, stream), line: server.lines.at(-1) }
}

/** The end of an answer in each API's words. */
const told = (message: unknown) => ({
  "/v1/chat/completions": {
    finish_reason: "length",
    finish_details: { type: "repetition", message },
  },
  "/v1/messages": {
    stop_reason: "max_tokens",
    stop_details: { type: "repetition", explanation: message },
  },
  "/v1/responses": {
    status: "incomplete",
    incomplete_details: { reason: "repetition", message },
  },
})

describe.each(APIS)("$path", (api) => {
  for (const stream of [false, true]) {
    test(`a text over and over${stream ? ", streamed" : ""}`, async () => {
      const server = harness({ script: () => LOOP, batchTokens: 50 })
      const { end, line } = await ask(server, api, stream)
      const sentence = expect.stringMatching(/^the last \d+ tokens repeat a text of \d+ tokens$/)
      expect(end).toMatchObject(told(sentence)[api.path as "/v1/messages"])
      expect(line).toMatchObject({
        status: 200,
        generation: { finish: "repetition", warnings: [sentence] },
      })
    })

    test(`a call for the third time${stream ? ", streamed" : ""}`, async () => {
      const server = harness({ script: () => CALL, batchTokens: 50 })
      const { answer, end } = await ask(server, api, stream)
      const sentence = expect.stringContaining("the call of find came for the third time")
      expect(end).toMatchObject(told(sentence)[api.path as "/v1/messages"])
      expect(answer).not.toMatch(/"tool_use"|"tool_calls"|"type":"function_call"/)
    })

    test(`with --no-loop-guard both are as sampled${stream ? ", streamed" : ""}`, async () => {
      for (const script of [LOOP, CALL]) {
        const server = harness({
          script: () => script,
          batchTokens: 50,
          settings: (settings) => void (settings.answers.loopGuard = false),
        })
        const { answer, line } = await ask(server, api, stream)
        expect(answer).not.toContain("repetition")
        expect(line?.generation?.finish).toBe(script === LOOP ? "stop" : "tool-calls")
      }
    })
  }
})

test("raw completions are left alone", async () => {
  const server = harness({ script: () => LOOP, batchTokens: 50 })
  const answer = await (await server.post("/v1/completions", { prompt: "hi" })).json()
  expect(answer).toMatchObject({ choices: [{ finish_reason: "stop" }] })
})
