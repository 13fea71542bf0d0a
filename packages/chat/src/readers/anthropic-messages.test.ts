import { describe, expect, test } from "bun:test"
import { refusal } from "../testing/refusal.ts"
import { anthropicRequest } from "./anthropic-messages.ts"

describe("Anthropic messages", () => {
  test("results come first, errors say so, private system text goes", () => {
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
                { type: "tool_reference", tool_name: "g" },
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
          content: 'Error: boom\n\n{"type":"tool_reference","tool_name":"g"}',
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
