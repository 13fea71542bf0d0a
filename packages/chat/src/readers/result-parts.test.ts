import { expect, test } from "bun:test"
import type { Conversation } from "../template/conversation.ts"
import { anthropicRequest } from "./anthropic-messages.ts"
import { chatRequest } from "./openai-chat.ts"
import { responsesRequest } from "./openai-responses.ts"

const parts = (type: string) => ["a", "b"].map((text) => ({ type, text }))
const contents = ({ messages }: Conversation): string[] => messages.map(({ content }) => content)

// Several texts of a tool, as MCP sends them, are paragraphs. The vendor's encoder writes them so.
test("parts of a tool's result stand apart in every API; those of a message do not", () => {
  const chat = {
    messages: [
      { role: "user", content: parts("text") },
      { role: "tool", tool_call_id: "1", content: parts("text") },
    ],
  }
  expect(contents(chatRequest(chat).conversation)).toEqual(["ab", "a\n\nb"])
  const messages = [
    {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: "1", content: parts("text") },
        ...parts("text"),
      ],
    },
  ]
  expect(contents(anthropicRequest({ messages }).conversation)).toEqual(["a\n\nb", "ab"])
  const input = [
    { role: "user", content: parts("input_text") },
    { type: "function_call", call_id: "1", name: "f", arguments: "{}" },
    { type: "function_call_output", call_id: "1", output: parts("input_text") },
  ]
  expect(contents(responsesRequest({ input }).conversation)).toEqual(["ab", "", "a\n\nb"])
  expect(contents(chatRequest(chat, { profile: "compat" }).conversation)).toEqual(["ab", "ab"])
})
