// An agent's conversation of 60 turns with calls, by each API's client: how much is read again.
import { afterAll, beforeAll, expect, test } from "bun:test"
import Anthropic from "@anthropic-ai/sdk"
import OpenAI from "openai"
import { toolBlock } from "@ds4/chat/testing"
import { type Listening, listen } from "../testing/harness.ts"

const TURNS = 60
const SYSTEM = "You are a careful agent. ".repeat(80)
const NAME = "read_file"
const PARAMETERS = {
  type: "object" as const,
  properties: { path: { type: "string" }, line: { type: "integer" } },
}
const resultOf = (turn: number): string => `line ${turn} of the file\n`.repeat(30)

let server: Listening
let turn = 0
beforeAll(() => {
  server = listen({
    contextTokens: 1_000_000,
    batchTokens: 64,
    script: () =>
      turn === TURNS
        ? "All is read.</think>Done."
        : `Step ${turn}.</think>Reading on.` +
          toolBlock({ name: NAME, arguments: { path: `src/${turn}.ts`, line: turn } }),
  })
})
afterAll(async () => await server.stop())

/** Tokens that a request read and wrote. */
interface Read {
  readonly prompt: number
  readonly cached: number
  readonly answer: number
}

/** Runs the turns of a conversation; gives the share of all prompt tokens that was read again. */
async function rereadShare(next: (turn: number) => Promise<Read>): Promise<number> {
  let known = 0
  let reread = 0
  let total = 0
  for (turn = 1; turn <= TURNS; turn++) {
    const { prompt, cached, answer } = await next(turn)
    reread += Math.max(0, Math.min(known, prompt) - cached)
    total += prompt
    known = prompt + answer
  }
  return reread / total
}

test("chat completions, with the openai client", async () => {
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", maxRetries: 0 })
  const tools = [{ type: "function" as const, function: { name: NAME, parameters: PARAMETERS } }]
  const messages: OpenAI.ChatCompletionMessageParam[] = [
    { role: "system", content: SYSTEM },
    { role: "user", content: "Read all of it." },
  ]
  const share = await rereadShare(async (at) => {
    const { choices, usage } = await client.chat.completions.create({
      model: "test-model",
      messages,
      tools,
    })
    const [choice] = choices
    if (choice === undefined) throw new Error("no choice")
    messages.push(choice.message) // without the reasoning: the client's type does not know it
    for (const call of choice.message.tool_calls ?? [])
      messages.push({ role: "tool", tool_call_id: call.id, content: resultOf(at) })
    return {
      prompt: usage?.prompt_tokens ?? 0,
      cached: usage?.prompt_tokens_details?.cached_tokens ?? 0,
      answer: usage?.completion_tokens ?? 0,
    }
  })
  expect(share).toBeLessThan(0.01)
}, 240_000)

test("responses, with the openai client and with what it sends of reasoning", async () => {
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", maxRetries: 0 })
  const tools = [{ type: "function" as const, name: NAME, parameters: PARAMETERS, strict: false }]
  const input: OpenAI.Responses.ResponseInput = [{ role: "user", content: "Read all of it, now." }]
  const share = await rereadShare(async (at) => {
    const { output, usage } = await client.responses.create({
      model: "test-model",
      instructions: SYSTEM,
      input,
      tools,
    })
    input.push(...(output as OpenAI.Responses.ResponseInput))
    for (const item of output)
      if (item.type === "function_call")
        input.push({ type: "function_call_output", call_id: item.call_id, output: resultOf(at) })
    return {
      prompt: usage?.input_tokens ?? 0,
      cached: usage?.input_tokens_details.cached_tokens ?? 0,
      answer: usage?.output_tokens ?? 0,
    }
  })
  expect(share).toBeLessThan(0.01)
}, 240_000)

test("messages, with the Anthropic client", async () => {
  const client = new Anthropic({ baseURL: server.url, apiKey: "any", maxRetries: 0 })
  const messages: Anthropic.MessageParam[] = [{ role: "user", content: "Read all of it, please." }]
  const share = await rereadShare(async (at) => {
    const { content, usage } = await client.messages.create({
      model: "test-model",
      max_tokens: 1000,
      system: SYSTEM,
      messages,
      tools: [{ name: NAME, input_schema: PARAMETERS }],
    })
    messages.push({ role: "assistant", content })
    const results = content.flatMap((block) =>
      block.type === "tool_use"
        ? [{ type: "tool_result" as const, tool_use_id: block.id, content: resultOf(at) }]
        : [],
    )
    if (results.length > 0) messages.push({ role: "user", content: results })
    const cached = usage.cache_read_input_tokens ?? 0
    const prompt = usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0)
    return { prompt, cached, answer: usage.output_tokens }
  })
  expect(share).toBeLessThan(0.01)
}, 240_000)
