import { describe, expect, test } from "bun:test"
import { Transcript } from "../../answer/transcript.ts"
import { frames, IDENTITY, OUTCOME, run } from "../../testing/writers.ts"
import { chatCompletion, ChatStreamWriter } from "./writer.ts"

describe("ChatStreamWriter", () => {
  test("usage comes only when asked for, and then other chunks carry null", () => {
    const plain = frames(
      run(
        new ChatStreamWriter(IDENTITY, {
          includeUsage: false,
          includeProgress: false,
          logprobs: false,
        }),
        [{ type: "text", text: "a" }],
      ),
    )
    expect(
      plain.every((frame) => frame.data === "[DONE]" || !("usage" in (frame.data as object))),
    ).toBe(true)
    const asked = frames(
      run(
        new ChatStreamWriter(IDENTITY, {
          includeUsage: true,
          includeProgress: false,
          logprobs: false,
        }),
        [{ type: "text", text: "a" }],
      ),
    )
    expect(asked[0]?.data).toMatchObject({ usage: null })
    expect(asked.at(-2)?.data).toMatchObject({
      choices: [],
      usage: { total_tokens: 30, completion_tokens_details: { reasoning_tokens: 3 } },
    })
    expect(asked.at(-1)?.data).toBe("[DONE]")
  })

  test("an error frame ends the stream without [DONE]", () => {
    const writer = new ChatStreamWriter(IDENTITY, {
      includeUsage: false,
      includeProgress: false,
      logprobs: false,
    })
    const all = frames(
      writer.open({ promptTokens: 1, cachedTokens: 0 }) + writer.fail("engine died"),
    )
    expect(all.at(-1)?.data).toMatchObject({
      error: { message: "engine died", type: "server_error" },
    })
  })

  test("logprobs held back behind text travel with the next chunk", () => {
    const writer = new ChatStreamWriter(IDENTITY, {
      includeUsage: false,
      includeProgress: false,
      logprobs: true,
    })
    const entry = { token: "a", logprob: -1, bytes: [97], top: [] }
    expect(writer.write({ events: [], logprobs: { content: [entry], reasoning: [] } })).toBe("")
    const [chunk] = frames(
      writer.write({
        events: [{ type: "text", text: "ab" }],
        logprobs: { content: [entry], reasoning: [] },
      }),
    )
    const wire = { token: "a", logprob: -1, bytes: [97], top_logprobs: [] }
    expect(chunk?.data).toMatchObject({ choices: [{ logprobs: { content: [wire, wire] } }] })
  })
})

test("a whole chat answer with calls and no text has null content", () => {
  const answer = new Transcript()
  answer.add({
    events: [
      { type: "tool-call-start", index: 0, id: "call_1", name: "f" },
      { type: "tool-call-arguments", index: 0, text: "{}" },
      { type: "tool-call-end", index: 0, call: { id: "call_1", name: "f", arguments: "{}" } },
    ],
    logprobs: undefined,
  })
  const whole = chatCompletion(IDENTITY, answer, { ...OUTCOME, finish: "tool-calls" }, false)
  expect(whole).toMatchObject({
    choices: [
      {
        message: {
          content: null,
          tool_calls: [{ id: "call_1", function: { name: "f", arguments: "{}" } }],
        },
        finish_reason: "tool_calls",
      },
    ],
  })
})
