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

  test("--max-tokens is a cap, and -1 asks for no limit, in every API", async () => {
    const server = harness({ settings: (settings) => void (settings.answers.maxTokens = 50) })
    const limit = async (path: string, fields: object) => {
      const answer = await server.post(path, { ...CHAT, input: "hi", prompt: "hi", ...fields })
      expect([path, fields, answer.status]).toEqual([path, fields, 200])
      return server.engine.requests.at(-1)?.maxTokens
    }
    const fields: [string, string][] = [
      ["/v1/chat/completions", "max_tokens"],
      ["/v1/chat/completions", "max_completion_tokens"],
      ["/v1/completions", "max_tokens"],
      ["/v1/messages", "max_tokens"],
      ["/v1/responses", "max_output_tokens"],
    ]
    for (const [path, field] of fields) {
      const got: unknown[] = []
      for (const value of [7, 50, 51, 1e9, -1, null, 0])
        got.push(await limit(path, { [field]: value }))
      expect([path, field, got]).toEqual([path, field, [7, 50, 50, 50, 50, 50, 0]])
    }
  })

  test("top_k of -1 or 0 keeps all tokens", async () => {
    const server = harness()
    const topK = async (value: number) => {
      await server.post("/v1/chat/completions", { ...CHAT, top_k: value })
      return server.engine.requests.at(-1)?.sampling?.topK
    }
    expect([await topK(-1), await topK(0), await topK(5)]).toEqual([0, 0, 5])
  })

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
