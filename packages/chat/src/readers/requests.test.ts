import { describe, expect, test } from "bun:test"
import { parseJson } from "../json/json-value.ts"
import { anthropicRequest } from "./anthropic-messages.ts"
import { chatRequest } from "./openai-chat.ts"
import { responsesRequest } from "./openai-responses.ts"
import { RequestError } from "./request-error.ts"

const refusal = (read: () => unknown): { param: string | undefined; message: string } => {
  try {
    read()
  } catch (error) {
    if (error instanceof RequestError) return { param: error.param, message: error.message }
    throw error
  }
  throw new Error("the request was read")
}

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

  test("the answer goes on from a message marked as prefix", () => {
    const messages = [
      { role: "user", content: "u" },
      { role: "assistant", content: "so", prefix: true },
    ]
    expect(chatRequest({ messages }).continueFinal).toBe(true)
    expect(chatRequest({ messages: messages.slice(0, 1) }).continueFinal).toBe(false)
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

describe("Anthropic messages", () => {
  test("results come first, errors and media say so, private system text goes", () => {
    const { conversation, warnings, continueFinal } = anthropicRequest({
      system: [
        { type: "text", text: "x-anthropic-billing: 1" },
        { type: "text", text: "S" },
      ],
      messages: [
        { role: "user", content: "u" },
        {
          role: "assistant",
          content: [
            { type: "redacted_thinking", data: "?" },
            { type: "thinking", thinking: "t" },
            { type: "tool_use", id: "1", name: "f", input: { b: 1, a: 2 } },
          ],
        },
        {
          role: "user",
          content: [
            { type: "text", text: "more" },
            {
              type: "tool_result",
              tool_use_id: "1",
              is_error: true,
              content: [
                { type: "text", text: "boom" },
                { type: "image", source: {} },
              ],
            },
            { type: "tool_result", tool_use_id: "1", is_error: true, content: "Error: boom" },
          ],
        },
      ],
      tools: [
        { name: "f", description: "d", input_schema: { type: "object" } },
        { type: "web_search_20250305", name: "web_search" },
      ],
    })
    expect(conversation).toEqual({
      tools: [
        { name: "f", definition: '{"name":"f","description":"d","parameters":{"type":"object"}}' },
      ],
      messages: [
        { role: "system", content: "S" },
        { role: "user", content: "u" },
        {
          role: "assistant",
          content: "",
          reasoning: "t",
          toolCalls: [{ id: "1", name: "f", arguments: '{"b":1,"a":2}' }],
        },
        {
          role: "tool",
          toolCallId: "1",
          content: 'Error: boom["image" left out: this model reads text only]\n',
        },
        { role: "tool", toolCallId: "1", content: "Error: boom" },
        { role: "user", content: "more", continuesResults: true },
      ],
    })
    expect(warnings).toHaveLength(1)
    expect(continueFinal).toBe(false)
  })

  test("system messages may stand between the turns, as Claude Code sends them", () => {
    const blocks = [
      { type: "text", text: "x-anthropic-billing-header: 1" },
      { type: "text", text: "agents", cache_control: { type: "ephemeral" } },
    ]
    const { conversation, continueFinal } = anthropicRequest({
      system: "S",
      messages: [
        { content: "u" },
        { role: "system", content: blocks },
        { role: "system", content: "plain" },
      ],
    })
    expect(conversation.messages).toEqual([
      { role: "system", content: "S" },
      { role: "user", content: "u" },
      { role: "system", content: "agents" },
      { role: "system", content: "plain" },
    ])
    expect(continueFinal).toBe(false)
  })

  test("a trailing assistant message is gone on from", () => {
    expect(
      anthropicRequest({ messages: [{ content: "u" }, { role: "assistant", content: "so" }] })
        .continueFinal,
    ).toBe(true)
  })

  test.each<[string, unknown, string]>([
    ["no messages", {}, "messages"],
    ["an unknown role", { messages: [{ role: "critic", content: "x" }] }, "messages[0].role"],
    [
      "a system message of another kind",
      { messages: [{ content: "u" }, { role: "system", content: [{ type: "image" }] }] },
      "messages[1].content[0].type",
    ],
    ["an image", { messages: [{ content: [{ type: "image" }] }] }, "messages[0].content[0]"],
    [
      "an unknown block",
      { messages: [{ content: [{ type: "hologram" }] }] },
      "messages[0].content[0].type",
    ],
    [
      "a call without a name",
      { messages: [{ role: "assistant", content: [{ type: "tool_use", input: {} }] }] },
      "messages[0].content[0].name",
    ],
    [
      "system text of another kind",
      { system: [{ type: "image" }], messages: [{ content: "u" }] },
      "system[0].type",
    ],
  ])("refuses %s", (_, body, param) => {
    expect(refusal(() => anthropicRequest(body)).param).toBe(param)
  })
})

describe("responses", () => {
  const messages = (input: unknown) => responsesRequest({ input }).conversation.messages

  test("items join into turns", () => {
    const sealed = Buffer.from("hidden").toString("base64")
    expect(
      messages([
        { role: "user", content: "u" },
        {
          type: "reasoning",
          summary: [{ type: "summary_text", text: "one" }],
          content: [{ type: "reasoning_text", text: "two" }],
        },
        {
          type: "message",
          role: "assistant",
          status: "incomplete",
          content: [{ type: "output_text", text: "text" }],
        },
        { type: "function_call", call_id: "1", namespace: "fs__", name: "read", arguments: "{}" },
        { type: "custom_tool_call", call_id: "2", name: "patch", input: "a\nb" },
        {
          type: "custom_tool_call_output",
          call_id: "2",
          output: [{ type: "input_text", text: "done" }],
        },
        { type: "function_call_output", call_id: "1", output: "file" },
        { type: "compaction", encrypted_content: "x" },
        { type: "reasoning", summary: [], encrypted_content: sealed },
        {
          type: "local_shell_call",
          call_id: "3",
          status: "completed",
          action: { type: "exec", command: ["ls"] },
        },
        { type: "local_shell_call_output", call_id: "3", output: "a" },
        { type: "reasoning", summary: [{ type: "summary_text", text: "late" }] },
      ]),
    ).toEqual([
      { role: "user", content: "u" },
      {
        role: "assistant",
        content: "text",
        reasoning: "one\ntwo",
        toolCalls: [
          { id: "1", name: "fs__read", arguments: "{}" },
          { id: "2", name: "patch", arguments: '{"input":"a\\nb"}' },
        ],
      },
      { role: "tool", toolCallId: "2", content: "done" },
      { role: "tool", toolCallId: "1", content: "file" },
      {
        role: "assistant",
        content: "",
        reasoning: "hidden",
        toolCalls: [
          { id: "3", name: "local_shell", arguments: '{"type":"exec","command":["ls"]}' },
        ],
      },
      { role: "tool", toolCallId: "3", content: "a" },
      { role: "assistant", content: "", reasoning: "late" },
    ])
  })

  test("tools of every kind get an internal name and a trained form", () => {
    const { conversation, toolNames } = responsesRequest({
      input: "u",
      tools: [
        {
          type: "function",
          name: "f",
          description: "d",
          parameters: { type: "object" },
          strict: true,
        },
        { type: "custom", name: "patch", description: "p" },
        {
          type: "namespace",
          name: "fs__",
          tools: [{ type: "function", name: "read", parameters: {} }],
        },
        { type: "tool_search" },
        { type: "web_search" },
      ],
    })
    expect(conversation.tools?.map(({ definition }) => definition)).toEqual([
      '{"name":"f","description":"d","parameters":{"type":"object"},"strict":true}',
      '{"name":"patch","description":"p","parameters":{"type":"object",' +
        '"properties":{"input":{"type":"string"}},"required":["input"]}}',
      '{"name":"fs__read","parameters":{}}',
      '{"name":"tool_search","parameters":{"type":"object",' +
        '"properties":{"query":{"type":"string"}},"required":["query"]}}',
    ])
    expect(toolNames.get("fs__read")).toEqual({ kind: "function", name: "read", namespace: "fs__" })
    expect(toolNames.get("patch")?.kind).toBe("custom")
  })

  test("a tool search brings tools in", () => {
    const { conversation } = responsesRequest({
      input: [
        { type: "tool_search_call", call_id: "1", arguments: { query: "q" } },
        {
          type: "tool_search_call_output",
          call_id: "1",
          tools: [{ type: "function", name: "found" }],
        },
      ],
    })
    expect(conversation.tools?.map(({ name }) => name)).toEqual(["found"])
  })

  test("a call known otherwise may be answered alone", () => {
    const body = { input: [{ type: "function_call_output", call_id: "1", output: "x" }] }
    expect(
      responsesRequest(body, { isKnownCall: (id) => id === "1" }).conversation.messages,
    ).toHaveLength(1)
    expect(refusal(() => responsesRequest(body)).message).toContain('"1"')
  })

  const call = { type: "function_call", call_id: "1", name: "f", arguments: "{}" }
  test.each<[string, unknown, string]>([
    ["no input", {}, "input"],
    ["an unfinished item", { input: [{ ...call, status: "in_progress" }] }, "input[0].status"],
    ["an unknown item", { input: [{ type: "holo_call" }] }, "input[0].type"],
    ["a stored item", { input: [{ type: "item_reference", id: "x" }] }, "input[0].type"],
    [
      "an image",
      { input: [{ role: "user", content: [{ type: "input_image" }] }] },
      "input[0].content[0]",
    ],
    [
      "an output without its call",
      { input: [{ type: "function_call_output", call_id: "9", output: "x" }] },
      "input[0].call_id",
    ],
    [
      "two tools of one name",
      {
        input: "u",
        tools: [
          { type: "custom", name: "f" },
          { type: "function", name: "f" },
        ],
      },
      "tools",
    ],
    ["a call without an id", { input: [{ ...call, call_id: undefined }] }, "input[0].call_id"],
  ])("refuses %s", (_, body, param) => {
    expect(refusal(() => responsesRequest(body)).param).toBe(param)
  })
})
