import { afterAll, describe, expect, test } from "bun:test"
import Anthropic from "@anthropic-ai/sdk"
import { toolBlock } from "@ds4/chat/testing"
import { listen } from "../../testing/harness.ts"

const TOOLS = [
  {
    name: "weather",
    description: "Weather",
    input_schema: { type: "object" as const, properties: { city: { type: "string" } } },
  },
]

const server = listen({
  script: (request) => {
    const prompt = server.state.require().chat.tokenizer.decode(request.promptTokens)
    if (prompt.includes("<tool_result>")) return "Good.</think>It is sunny."
    if (prompt.includes("weather?"))
      return (
        `I should look.</think>Let me see.` +
        `${toolBlock({ name: "weather", arguments: { city: 'Zü"rich' } })}`
      )
    return prompt.endsWith("<think>")
      ? "Consider it.</think>The answer is 7. END of it"
      : "The answer is 7. END of it"
  },
})
const client = new Anthropic({ baseURL: server.url, apiKey: "any", maxRetries: 0 })
afterAll(() => server.stop())

const user = (content: string) => [{ role: "user" as const, content }]
const base = { model: "test-model", max_tokens: 1000 }

describe("messages with the Anthropic client", () => {
  test("a whole message has thinking and text; the input figures sum to the prompt", async () => {
    const message = await client.messages.create({ ...base, messages: user("hi") })
    expect(message.content.map((block) => block.type)).toEqual(["thinking", "text"])
    expect(message.content[1]).toMatchObject({ text: "The answer is 7. END of it" })
    expect(message.stop_reason).toBe("end_turn")
    const {
      input_tokens: input,
      cache_read_input_tokens: read,
      cache_creation_input_tokens: created,
    } = message.usage
    expect(input + (read ?? 0) + (created ?? 0)).toBe(
      server.engine.requests.at(-1)?.promptTokens.length ?? -1,
    )
  })

  test("a stream gathers to the same message as the whole answer", async () => {
    const stream = client.messages.stream({
      ...base,
      messages: user("hi"),
      thinking: { type: "enabled", budget_tokens: 1024 },
    })
    const kinds: string[] = []
    for await (const event of stream) kinds.push(event.type)
    const gathered = await stream.finalMessage()
    const whole = await client.messages.create({ ...base, messages: user("hi") })
    const texts = (message: typeof whole) =>
      message.content.map((block) =>
        block.type === "text" ? block.text : block.type === "thinking" ? block.thinking : "",
      )
    expect(texts(gathered)).toEqual(texts(whole))
    expect(kinds[0]).toBe("message_start")
    expect(kinds.at(-1)).toBe("message_stop")
    expect(server.engine.requests.at(-2)?.reasoningBudget).toBe(1024)
  })

  test("an answer that the client has begun continues as text, without thinking", async () => {
    const begun = [...user("hi"), { role: "assistant" as const, content: "Well:" }]
    const message = await client.messages.create({
      ...base,
      messages: begun,
      thinking: { type: "enabled", budget_tokens: 1024 },
    })
    const request = server.engine.requests.at(-1)
    expect(server.state.require().chat.tokenizer.decode(request?.promptTokens ?? [])).toEndWith(
      "</think>Well:",
    )
    expect(message.content).toMatchObject([{ type: "text", text: "The answer is 7. END of it" }])
    expect([request?.reasoningBudget, request?.thinkCloseToken]).toEqual([undefined, undefined])
  })

  test("a tool that only the vendor can run is left out, and the log says so", async () => {
    await client.messages.create({
      ...base,
      messages: user("hi"),
      tools: [{ type: "web_search_20250305", name: "web_search" }],
    })
    expect(server.lines.at(-1)?.generation?.warnings).toEqual([
      'tool of type "web_search_20250305" left out: only its vendor\'s servers can run it',
    ])
  })

  test("thinking can be disabled, a stop sequence is named", async () => {
    const message = await client.messages.create({
      ...base,
      messages: user("hi"),
      thinking: { type: "disabled" },
      stop_sequences: ["END"],
    })
    expect(message.content).toMatchObject([{ type: "text", text: "The answer is 7. " }])
    expect([message.stop_reason, message.stop_sequence]).toEqual(["stop_sequence", "END"])
    const cut = await client.messages.create({ ...base, max_tokens: 4, messages: user("hi") })
    expect([cut.stop_reason, ...cut.content.map((block) => block.type)]).toEqual([
      "max_tokens",
      "thinking", // and no empty text behind it
    ])
  })

  test("a tool loop: streamed use, result, answer; the second turn reuses tokens", async () => {
    const stream = client.messages.stream({ ...base, tools: TOOLS, messages: user("weather?") })
    const first = await stream.finalMessage()
    expect(first.content.map((block) => block.type)).toEqual(["thinking", "text", "tool_use"])
    expect(first.stop_reason).toBe("tool_use")
    const use = first.content.find((block) => block.type === "tool_use")
    expect(use?.input).toEqual({ city: 'Zü"rich' })
    expect(use?.id).toMatch(/^toolu_[0-9a-f]{32}$/)
    const before = server.engine.requests.at(-1)?.promptTokens.length ?? 0
    const second = await client.messages.create({
      ...base,
      tools: TOOLS,
      messages: [
        ...user("weather?"),
        { role: "assistant", content: first.content },
        {
          role: "user",
          content: [{ type: "tool_result", tool_use_id: use?.id ?? "", content: "sunny" }],
        },
      ],
    })
    expect(second.content.at(-1)).toMatchObject({ type: "text", text: "It is sunny." })
    expect(second.usage.cache_read_input_tokens).toBeGreaterThan(before)
  })

  test("tokens are counted as they will be used", async () => {
    const count = await client.messages.countTokens({
      model: base.model,
      messages: user("weather?"),
      tools: TOOLS,
    })
    await client.messages.create({ ...base, messages: user("weather?"), tools: TOOLS })
    expect(count.input_tokens).toBe(server.engine.requests.at(-1)?.promptTokens.length ?? -1)
  })

  test("errors are typed and in Anthropic's shape", async () => {
    const forced = client.messages.create({
      ...base,
      messages: user("hi"),
      tools: TOOLS,
      tool_choice: { type: "any" },
    })
    expect(await forced.catch((error: unknown) => error)).toBeInstanceOf(Anthropic.BadRequestError)
    const image = client.messages.create({
      ...base,
      messages: [
        {
          role: "user",
          content: [
            { type: "image", source: { type: "base64", media_type: "image/png", data: "" } },
          ],
        },
      ],
    })
    expect(await image.catch((error: unknown) => (error as Error).message)).toContain(
      "image input is not supported",
    )
    const missing = await server.post("/v1/messages", {})
    expect(await missing.json()).toMatchObject({
      type: "error",
      error: { type: "invalid_request_error", message: "missing messages" },
    })
  })

  test("models are listed in this API's shape", async () => {
    const page = await client.models.list()
    expect(page.data).toMatchObject([{ type: "model", id: "test-model", display_name: "fake" }])
  })
})
