import { describe, expect, test } from "bun:test"
import { refusal } from "../testing/refusal.ts"
import { responsesRequest } from "./openai-responses.ts"

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

  test("a call of the history may be answered alone; instructions stand before the history", () => {
    const body = {
      instructions: "Now this.",
      input: [{ type: "function_call_output", call_id: "1", output: "x" }],
    }
    const history = [{ role: "user", content: "hi" }, call]
    expect(responsesRequest(body, { history }).conversation.messages).toEqual([
      { role: "system", content: "Now this." },
      { role: "user", content: "hi" },
      { role: "assistant", content: "", toolCalls: [{ id: "1", name: "f", arguments: "{}" }] },
      { role: "tool", toolCallId: "1", content: "x" },
    ])
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
