import { describe, expect, test } from "bun:test"
import { refusal } from "../testing/refusal.ts"
import { anthropicRequest } from "./anthropic-messages.ts"
import { chatRequest } from "./openai-chat.ts"
import { responsesRequest } from "./openai-responses.ts"

const user = { role: "user", content: "u" }
const answer = { role: "assistant", content: "so" }
const called = {
  role: "assistant",
  content: "",
  tool_calls: [{ id: "1", function: { name: "f", arguments: "{}" } }],
}

/** The ending of a prompt, in a word. */
const ending = (read: { continueFinal: boolean; addGenerationPrompt: boolean }): string =>
  read.continueFinal ? "goes on" : read.addGenerationPrompt ? "new turn" : "nothing"

const chat = (last: object, more: object = {}): string =>
  ending(chatRequest({ messages: [user, last], ...more }))
const messages = (last: object, more: object = {}): string =>
  ending(anthropicRequest({ messages: [user, last], ...more }))
const responses = (last: object, more: object = {}): string =>
  ending(responsesRequest({ input: [user, last], ...more }))

describe("a body that ends with an assistant message", () => {
  test("is answered by a new turn in chat completions and responses", () => {
    for (const read of [chat, responses]) expect(read(answer)).toBe("new turn")
    expect(chat(called)).toBe("new turn")
    expect(responses({ type: "function_call", call_id: "1", name: "f", arguments: "" })).toBe(
      "new turn",
    )
  })

  test("is gone on from in messages, as that API documents, unless it makes calls", () => {
    expect(messages(answer)).toBe("goes on")
    expect(messages({ role: "assistant", content: [{ type: "text", text: "so" }] })).toBe("goes on")
    const use = { type: "tool_use", id: "1", name: "f", input: {} }
    expect(messages({ role: "assistant", content: [use] })).toBe("new turn")
    expect(messages(answer, { add_generation_prompt: true })).toBe("new turn")
    expect(messages(answer, { continue_final_message: false })).toBe("new turn")
  })

  test("goes on where continue_final_message asks for it, in every API", () => {
    const vllm = { continue_final_message: true, add_generation_prompt: false }
    for (const read of [chat, messages, responses]) {
      expect(read(answer, vllm)).toBe("goes on")
      expect(read(answer, { continue_final_message: true })).toBe("goes on")
      expect(read(answer, { continue_final_message: null, add_generation_prompt: true })).toBe(
        "new turn",
      )
    }
  })

  test("goes on from a last message marked as prefix, as the vendor's API has it", () => {
    expect(chat({ ...answer, prefix: true })).toBe("goes on")
    expect(chat({ ...answer, prefix: false })).toBe("new turn")
    const before = { messages: [user, { ...answer, prefix: true }, user] }
    expect(ending(chatRequest(before))).toBe("new turn")
  })

  test("goes on from an unfinished last item of responses", () => {
    expect(responses({ ...answer, status: "incomplete" })).toBe("goes on")
    expect(responses({ ...answer, status: "completed" })).toBe("new turn")
    const thought = { type: "reasoning", summary: [{ text: "hm" }], status: "incomplete" }
    expect(responses(thought)).toBe("goes on")
    expect(ending(responsesRequest({ input: [user, thought, user] }))).toBe("new turn")
  })

  test("gets nothing after it where add_generation_prompt is false", () => {
    const nothing = { add_generation_prompt: false }
    expect(chat(user, nothing)).toBe("nothing")
    expect(responses(answer, nothing)).toBe("nothing")
    expect(messages(user, nothing)).toBe("nothing")
  })

  test.each<[string, () => unknown, string, string]>([
    [
      "both fields",
      () => chat(answer, { continue_final_message: true, add_generation_prompt: true }),
      "continue_final_message",
      "not both",
    ],
    [
      "a prefix and a new turn",
      () => chat({ ...answer, prefix: true }, { add_generation_prompt: true }),
      "messages[1].prefix",
      "not both",
    ],
    [
      "going on as the user",
      () => chat(user, { continue_final_message: true }),
      "continue_final_message",
      '"user"',
    ],
    [
      "going on after calls",
      () => chat(called, { continue_final_message: true }),
      "continue_final_message",
      "tool calls",
    ],
    [
      "a word",
      () => messages(answer, { continue_final_message: "yes" }),
      "continue_final_message",
      "true or false",
    ],
    [
      "a number",
      () => responses(answer, { add_generation_prompt: 1 }),
      "add_generation_prompt",
      "true or false",
    ],
  ])("refuses %s", (_, read, param, said) => {
    const error = refusal(read)
    expect(error.param).toBe(param)
    expect(error.message).toContain(said)
  })
})
