import { describe, expect, test } from "bun:test"
import { harness } from "../testing/harness.ts"
import { CHAT } from "../testing/requests.ts"

describe("settings", () => {
  test("--strict-model refuses other names with 404, the two aliases stay", async () => {
    const server = harness({ settings: (settings) => void (settings.answers.strictModel = true) })
    const status = async (model: string) =>
      (await server.post("/v1/chat/completions", { ...CHAT, model })).status
    expect([
      await status("other"),
      await status("test-model"),
      await status("deepseek-chat"),
    ]).toEqual([404, 200, 200])
  })

  test(
    "what decides about thinking: an explicit off, the effort, an explicit on, the model's name, " +
      "the default",
    async () => {
      const server = harness({ settings: (settings) => void (settings.answers.isThinking = false) })
      const thinks = async (fields: object) => {
        await server.post("/v1/chat/completions", { messages: CHAT.messages, ...fields })
        return server.engine.requests.at(-1)?.thinkCloseToken !== undefined
      }
      expect(await thinks({})).toBe(false)
      expect(await thinks({ model: "deepseek-reasoner" })).toBe(true)
      expect(await thinks({ model: "deepseek-chat", thinking: { type: "enabled" } })).toBe(true)
      expect(await thinks({ model: "deepseek-chat", reasoning_effort: "low" })).toBe(true)
      expect(await thinks({ model: "deepseek-reasoner", reasoning_effort: "none" })).toBe(false)
      expect(await thinks({ thinking: false, reasoning_effort: "high" })).toBe(false)
      expect(await thinks({ chat_template_kwargs: { enable_thinking: true } })).toBe(true)
      expect(
        await thinks({ model: "deepseek-reasoner", chat_template_kwargs: { thinking: false } }),
      ).toBe(false)
    },
  )

  test("sampling fields reach the engine as given, seed 0 and tool zones included", async () => {
    const server = harness()
    const tools = [{ type: "function", function: { name: "f", parameters: {} } }]
    await server.post("/v1/chat/completions", {
      ...CHAT,
      tools,
      temperature: 0,
      top_p: 0.5,
      top_k: 7,
      min_p: 0,
      seed: 0,
      max_tokens: 9,
      max_completion_tokens: 5,
      prompt_cache_key: "k",
    })
    expect(server.engine.requests[0]).toMatchObject({
      sampling: { temperature: 0, topP: 0.5, topK: 7, minP: 0, seed: 0n },
      maxTokens: 5,
      toolZones: true,
      sessionHint: "k",
    })
  })
})
