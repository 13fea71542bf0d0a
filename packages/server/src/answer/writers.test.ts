import { describe, expect, test } from "bun:test"
import { coalesce, type Outcome, type StreamWriter, Transcript } from "./answer.ts"
import { anthropicMessage, MessageStreamWriter } from "../api/messages/writer.ts"
import { legacyLogprobs, TextStreamWriter } from "../api/completions/writer.ts"
import { chatCompletion, ChatStreamWriter } from "../api/chat-completions/writer.ts"
import { ResponseStreamWriter } from "../api/responses/writer.ts"
import { CustomInputReader } from "../api/responses/items.ts"
import { parseFrames } from "../testing/frames.ts"

const IDENTITY = { id: "chatcmpl-1", created: 7, model: "m", fingerprint: "f" }
const OUTCOME: Outcome = {
  finish: "stop",
  stopString: undefined,
  prefillMs: 5,
  decodeMs: 10,
  usage: { promptTokens: 10, cachedTokens: 4, completionTokens: 20, reasoningTokens: 3 },
}

const json = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>
const frames = (text: string) =>
  parseFrames(text).map((frame) => ({
    event: frame.event,
    data: frame.data === "[DONE]" ? "[DONE]" : json(frame.data),
  }))

function lastData<T>(all: { data: unknown }[]): T {
  return all[all.length - 1]?.data as T
}

function run(
  writer: StreamWriter,
  events: Parameters<typeof coalesce>[0],
  outcome = OUTCOME,
): string {
  const open = writer.open({ promptTokens: 10, cachedTokens: 4 })
  return open + writer.write({ events, logprobs: undefined }) + writer.close(outcome)
}

describe("ChatStreamWriter", () => {
  test("usage comes only when asked for, and then other chunks carry null", () => {
    const plain = frames(
      run(
        new ChatStreamWriter(IDENTITY, {
          includeUsage: false,
          includeProgress: false,
          logprobs: false,
        }),
        [{ type: "content", text: "a" }],
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
        [{ type: "content", text: "a" }],
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
    const entry = { token: "a", logprob: -1, bytes: [97], top_logprobs: [] }
    expect(writer.write({ events: [], logprobs: { content: [entry], reasoning: [] } })).toBe("")
    const [chunk] = frames(
      writer.write({
        events: [{ type: "content", text: "ab" }],
        logprobs: { content: [entry], reasoning: [] },
      }),
    )
    expect(chunk?.data).toMatchObject({ choices: [{ logprobs: { content: [entry, entry] } }] })
  })
})

test("a whole chat answer with calls and no text has null content", () => {
  const answer = new Transcript()
  answer.add({
    events: [
      { type: "call-start", index: 0, id: "call_1", name: "f" },
      { type: "call-args", index: 0, text: "{}" },
      { type: "call-end", index: 0 },
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

test("coalescing joins neighbours of one kind and call, and loses nothing", () => {
  const joined = coalesce([
    { type: "content", text: "a" },
    { type: "content", text: "b" },
    { type: "reasoning", text: "c" },
    { type: "call-args", index: 0, text: "d" },
    { type: "call-args", index: 1, text: "e" },
    { type: "call-args", index: 1, text: "f" },
    { type: "content", text: "g" },
  ])
  expect(joined).toEqual([
    { type: "content", text: "ab" },
    { type: "reasoning", text: "c" },
    { type: "call-args", index: 0, text: "d" },
    { type: "call-args", index: 1, text: "ef" },
    { type: "content", text: "g" },
  ])
})

describe("TextStreamWriter", () => {
  test("echo comes first, offsets count from its end", () => {
    const writer = new TextStreamWriter(IDENTITY, {
      includeUsage: false,
      logprobs: true,
      echo: "in ",
    })
    const text = frames(run(writer, [{ type: "content", text: "out" }])).flatMap((frame) =>
      frame.data === "[DONE]"
        ? []
        : [(frame.data as { choices: [{ text: string }] }).choices[0].text],
    )
    expect(text).toEqual(["in ", "out", ""])
    const top = [{ token: "b", logprob: -2, bytes: [98] }]
    expect(
      legacyLogprobs(
        [
          { token: "ab", logprob: -1, bytes: [], top_logprobs: top },
          { token: "c", logprob: -3, bytes: [], top_logprobs: [] },
        ],
        3,
      ),
    ).toEqual({
      tokens: ["ab", "c"],
      token_logprobs: [-1, -3],
      top_logprobs: [{ b: -2 }, {}],
      text_offset: [3, 5],
    })
  })
})

describe("MessageStreamWriter", () => {
  test(
    "the three input figures sum to the prompt and the full usage is repeated at " + "the end",
    () => {
      const all = frames(
        run(
          new MessageStreamWriter({ id: "msg_1", model: "m" }),
          [{ type: "content", text: "a" }],
          {
            ...OUTCOME,
            finish: "stop-string",
            stopString: "END",
          },
        ),
      )
      const usage = { input_tokens: 6, cache_read_input_tokens: 4, cache_creation_input_tokens: 0 }
      expect(all[0]?.data).toMatchObject({ message: { usage } })
      expect(all.at(-2)?.data).toMatchObject({
        delta: { stop_reason: "stop_sequence", stop_sequence: "END" },
        usage: { ...usage, output_tokens: 20 },
      })
      expect(all.every((frame) => frame.event === (frame.data as { type: string }).type)).toBe(true)
    },
  )

  test("arguments that are no object become one field of the input", () => {
    const answer = new Transcript()
    answer.add({
      events: [
        { type: "call-start", index: 0, id: "toolu_1", name: "f" },
        { type: "call-args", index: 0, text: "[1" },
        { type: "call-end", index: 0 },
      ],
      logprobs: undefined,
    })
    expect(anthropicMessage({ id: "msg_1", model: "m" }, answer, OUTCOME)).toMatchObject({
      content: [{ type: "tool_use", input: { arguments: "[1" } }],
    })
  })
})

describe("ResponseStreamWriter", () => {
  const identity = (showSummary: boolean, includeEncrypted: boolean) => ({
    id: "resp_1",
    created: 7,
    model: "m",
    echo: { store: false },
    reasoning: { showSummary, includeEncrypted },
    tools: new Map([
      ["ns.patch", { kind: "custom" as const, name: "patch", namespace: "ns" }],
      ["ns.list", { kind: "function" as const, name: "list", namespace: "ns" }],
    ]),
  })

  test("hidden reasoning makes no item; encrypted reasoning makes one without a summary", () => {
    const events = [
      { type: "reasoning" as const, text: "secret" },
      { type: "content" as const, text: "a" },
    ]
    expect(run(new ResponseStreamWriter(identity(false, false)), events)).not.toContain(
      "reasoning_summary",
    )
    const last = lastData<{
      response: { output: { encrypted_content?: string; summary?: unknown[] }[] }
    }>(frames(run(new ResponseStreamWriter(identity(false, true)), events)))
    expect(Buffer.from(last.response.output[0]?.encrypted_content ?? "", "base64").toString()).toBe(
      "secret",
    )
    expect(last.response.output[0]?.summary).toEqual([])
  })

  test("custom and namespaced tools are shown as they were declared", () => {
    const all = frames(
      run(
        new ResponseStreamWriter(identity(false, false)),
        [
          { type: "call-start", index: 0, id: "call_1", name: "ns.patch" },
          { type: "call-args", index: 0, text: '{"input":"' },
          { type: "call-args", index: 0, text: 'a\\n"'.slice(0, 3) },
          { type: "call-args", index: 0, text: 'b"}' },
          { type: "call-end", index: 0 },
          { type: "call-start", index: 1, id: "call_2", name: "ns.list" },
          { type: "call-args", index: 1, text: "{}" },
          { type: "call-end", index: 1 },
          { type: "block-end" },
        ],
        { ...OUTCOME, finish: "tool-calls" },
      ),
    )
    const output = lastData<{ response: { output: unknown[] } }>(all).response.output
    expect(output).toMatchObject([
      {
        type: "custom_tool_call",
        call_id: "call_1",
        name: "patch",
        namespace: "ns",
        input: "a\nb",
        status: "completed",
      },
      {
        type: "function_call",
        call_id: "call_2",
        name: "list",
        namespace: "ns",
        arguments: "{}",
        status: "completed",
      },
    ])
    const numbers = all.map((frame) => (frame.data as { sequence_number: number }).sequence_number)
    expect(numbers).toEqual(numbers.map((_, index) => index))
  })

  test("a failure closes the open item and ends with response.failed", () => {
    const writer = new ResponseStreamWriter(identity(false, false))
    const text =
      writer.open({ promptTokens: 1, cachedTokens: 0 }) +
      writer.write({ events: [{ type: "content", text: "a" }], logprobs: undefined }) +
      writer.fail("boom")
    const all = frames(text)
    expect(all.at(-1)).toMatchObject({
      event: "response.failed",
      data: {
        response: {
          status: "failed",
          error: { code: "server_error", message: "boom" },
          output: [{ status: "incomplete" }],
        },
      },
    })
  })
})

test(
  "a custom tool's input is read from every split of its arguments that keeps escapes " + "whole",
  () => {
    const parts = ['{"input":', '"', "line 1", "\\n", '\\"q\\"', "é\\u00e9", "\\\\", '"', "}"]
    for (let mask = 0; mask < 2 ** (parts.length - 1); mask++) {
      const fragments: string[] = [""]
      parts.forEach((part, index) => {
        fragments[fragments.length - 1] += part
        if ((mask >> index) % 2 === 1) fragments.push("")
      })
      const reader = new CustomInputReader()
      expect(fragments.map((fragment) => reader.push(fragment)).join("")).toBe('line 1\n"q"éé\\')
    }
  },
)
