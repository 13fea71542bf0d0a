import { expect, test } from "bun:test"
import { chatRequest, type Conversation } from "@ds4/chat"
import { requestBody } from "./server-messages.ts"

const CONVERSATION: Conversation = {
  messages: [
    { role: "system", content: "Be brief." },
    { role: "user", content: "What is the weather in Rome?" },
    {
      role: "assistant",
      content: "Let me see.",
      reasoning: "Hm.",
      toolCalls: [{ id: "call_1", name: "find", arguments: '{"city":"Rome"}' }],
    },
    { role: "tool", content: "sunny", toolCallId: "call_1" },
  ],
  tools: [{ name: "find", definition: '{"name":"find","parameters":{"type":"object"}}' }],
}

test("a server reads the conversation that was sent", () => {
  const body = requestBody("m", CONVERSATION)
  expect(chatRequest(JSON.parse(JSON.stringify(body))).conversation).toEqual(CONVERSATION)
})

test("a server is told where the answer begins", () => {
  const messages = [{ role: "assistant", content: "so" }] as const
  expect(requestBody("m", { messages, continueFinal: true })).toMatchObject({
    messages: [{ role: "assistant", content: "so", prefix: true }],
    continue_final_message: true,
    add_generation_prompt: false,
  })
  const whole = requestBody("m", { messages, addGenerationPrompt: false })
  expect(whole).toMatchObject({ messages: [{ role: "assistant", content: "so" }] })
  expect(whole).toMatchObject({ add_generation_prompt: false })
  expect(whole).not.toHaveProperty("continue_final_message")
})

test("only settings that are set are sent; thinking becomes an effort word", () => {
  expect(JSON.parse(JSON.stringify(requestBody("m", { messages: [] })))).toEqual({
    model: "m",
    messages: [],
    stream: true,
    stream_options: { include_usage: true },
  })
  const settings = {
    messages: [],
    sampling: { temperature: 0, topP: 0.5, topK: 3, minP: 0, seed: 7 },
    maxTokens: 9,
    stopStrings: ["END"],
  }
  expect(requestBody("m", { ...settings, thinking: "off" })).toMatchObject({
    temperature: 0,
    top_p: 0.5,
    top_k: 3,
    min_p: 0,
    seed: 7,
    max_tokens: 9,
    stop: ["END"],
    reasoning_effort: "none",
  })
  expect(requestBody("m", { ...settings, thinking: "max" }).reasoning_effort).toBe("max")
})
