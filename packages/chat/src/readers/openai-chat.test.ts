import { describe, expect, test } from "bun:test"
import { parseJson } from "../json/json-value.ts"
import { refusal } from "../testing/refusal.ts"
import { chatRequest } from "./openai-chat.ts"

describe("chat completions", () => {
  test("roles, parts, reasoning, calls and results", () => {
    const { conversation } = chatRequest({
      messages: [
        { role: "developer", content: "D" },
        {
          content: [
            { type: "text", text: "a" },
            { type: "input_text", text: "b" },
            { type: "refusal", refusal: "c" },
          ],
        },
        {
          role: "assistant",
          content: null,
          reasoning: "why",
          tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: { x: 1 } } }],
        },
        { role: "function", content: "out", tool_call_id: "1" },
      ],
    })
    expect(conversation).toEqual({
      messages: [
        { role: "system", content: "D" },
        { role: "user", content: "abc" },
        {
          role: "assistant",
          content: "",
          reasoning: "why",
          toolCalls: [{ id: "1", name: "f", arguments: '{"x":1}' }],
        },
        { role: "tool", content: "out", toolCallId: "1" },
      ],
    })
  })

  test("tool schemas keep the text they came in", () => {
    const body = parseJson(
      '{"messages":[{"content":"u"}],"tools":[{"type":"function","function":' +
        '{"name":"f","parameters":{"2":1.0,"1":{}}}}]}',
    )
    expect(chatRequest(body).conversation.tools).toEqual([
      { name: "f", definition: '{"name":"f","parameters":{"2":1.0,"1":{}}}' },
    ])
  })

  test("response formats become schemas", () => {
    const of = (response_format: unknown) =>
      chatRequest({ messages: [{ content: "u" }], response_format }).conversation.responseFormat
    expect(of({ type: "text" })).toBeUndefined()
    expect(of({ type: "json_object" })).toEqual({ schema: { type: "object" } })
    expect(
      of({ type: "json_schema", json_schema: { name: "n", schema: { type: "array" } } }),
    ).toEqual({ schema: { type: "array" } })
  })

  const user = { role: "user", content: "u" }
  const tool = { type: "function", function: { name: "f" } }
  test.each<[string, unknown, string]>([
    ["no body", undefined, "body"],
    ["no messages", {}, "messages"],
    ["empty messages", { messages: [] }, "messages"],
    ["a message that is text", { messages: ["u"] }, "messages[0]"],
    ["an unknown role", { messages: [{ role: "narrator", content: "x" }] }, "messages[0].role"],
    ["a number as content", { messages: [{ content: 1 }] }, "messages[0].content"],
    [
      "an image",
      { messages: [{ content: [{ type: "image_url", image_url: { url: "x" } }] }] },
      "messages[0].content[0]",
    ],
    [
      "a part without text",
      { messages: [{ content: [{ type: "text" }] }] },
      "messages[0].content[0].text",
    ],
    [
      "a call without a name",
      { messages: [{ role: "assistant", tool_calls: [{ function: {} }] }] },
      "messages[0].tool_calls[0].function.name",
    ],
    [
      "a prefix that is no assistant's",
      { messages: [{ role: "user", content: "u", prefix: true }] },
      "messages[0].prefix",
    ],
    ["two tools of one name", { messages: [user], tools: [tool, tool] }, "tools"],
    ["a tool of another kind", { messages: [user], tools: [{ type: "browser" }] }, "tools[0].type"],
    [
      "a tool without a name",
      { messages: [user], tools: [{ function: {} }] },
      "tools[0].function.name",
    ],
    [
      "an unknown format",
      { messages: [user], response_format: { type: "xml" } },
      "response_format.type",
    ],
  ])("refuses %s", (_, body, param) => {
    expect(refusal(() => chatRequest(body)).param).toBe(param)
  })
})

test("reasoning that comes back as a part of an answer's content is its reasoning", () => {
  const answer = (content: unknown, more = {}) =>
    chatRequest({
      messages: [
        { role: "user", content: "hi" },
        { role: "assistant", content, ...more },
        { role: "user", content: "b" },
      ],
    }).conversation.messages[1]
  const text = { type: "text", text: "a" }
  const told = { role: "assistant" as const, content: "a", reasoning: "t" }
  expect(answer([{ type: "thinking", thinking: "t", signature: "s" }, text])).toEqual(told)
  expect(answer([{ type: "reasoning", text: "t" }, text])).toEqual(told)
  expect(answer([{ type: "redacted_thinking", data: "x" }, text])).toEqual({
    role: "assistant",
    content: "a",
  })
  expect(answer([{ type: "thinking", thinking: "x" }, text], { reasoning_content: "t" })).toEqual(
    told,
  )
  expect(() => answer([{ type: "thinking" }, text])).toThrow("messages[1].content[0].thinking")
})
