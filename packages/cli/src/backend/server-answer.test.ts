import { expect, test } from "bun:test"
import { ServerAnswer, type StreamChunk } from "./server-answer.ts"

const delta = (fields: object): StreamChunk => ({ choices: [{ delta: fields }] })

/** The events of an answer whose chunks these are. */
function eventsOf(...chunks: readonly StreamChunk[]) {
  const answer = new ServerAnswer()
  return [...chunks.flatMap((chunk) => [...answer.push(chunk)]), ...answer.end()]
}

test("reasoning, text and calls in pieces are the events of a local answer", () => {
  const events = eventsOf(
    delta({ role: "assistant", content: "" }),
    delta({ reasoning_content: "Hm." }),
    delta({ content: "Let me see." }),
    delta({ tool_calls: [{ index: 0, id: "call_1", function: { name: "find", arguments: "" } }] }),
    delta({ tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] }),
    delta({ tool_calls: [{ index: 0, function: { arguments: '"Bern"}' } }] }),
    { choices: [{ delta: {}, finish_reason: "tool_calls" }] },
    {
      choices: [],
      usage: {
        prompt_tokens: 9,
        completion_tokens: 5,
        prompt_tokens_details: { cached_tokens: 4 },
        completion_tokens_details: { reasoning_tokens: 2 },
      },
    },
  )
  const call = { id: "call_1", name: "find", arguments: '{"city":"Bern"}' }
  expect(events.slice(0, -1)).toEqual([
    { type: "reasoning", text: "Hm." },
    { type: "text", text: "Let me see." },
    { type: "tool-call-start", index: 0, id: "call_1", name: "find" },
    { type: "tool-call-arguments", index: 0, text: '{"city":' },
    { type: "tool-call-arguments", index: 0, text: '"Bern"}' },
    { type: "tool-call-end", index: 0, call },
  ])
  expect(events.at(-1)).toMatchObject({
    type: "finish",
    reason: "tool-calls",
    usage: { promptTokens: 9, cachedTokens: 4, completionTokens: 5, reasoningTokens: 2 },
    message: { role: "assistant", content: "Let me see.", reasoning: "Hm.", toolCalls: [call] },
  })
})

test("a repetition is told from a limit", () => {
  const message = "the last 600 tokens repeat a text of 7 tokens"
  const finish_details = { type: "repetition", message }
  expect(eventsOf({ choices: [{ delta: {}, finish_reason: "length", finish_details }] })).toEqual([
    expect.objectContaining({ type: "finish", reason: "repetition", detail: message }),
  ])
})

test("a call that a limit cut is begun and not delivered", () => {
  const piece = { index: 0, id: "call_1", function: { name: "find", arguments: '{"city":"Be' } }
  const events = eventsOf(delta({ tool_calls: [piece] }), {
    choices: [{ delta: {}, finish_reason: "length" }],
  })
  expect(events.map(({ type }) => type)).toEqual([
    "tool-call-start",
    "tool-call-arguments",
    "finish",
  ])
  expect(events.at(-1)).toMatchObject({ reason: "length", message: { content: "" } })
})

test("a stream without an end was cancelled", () => {
  expect(eventsOf(delta({ content: "half" })).at(-1)).toMatchObject({
    type: "finish",
    reason: "cancelled",
    message: { content: "half" },
  })
})
