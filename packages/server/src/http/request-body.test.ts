import { describe, expect, test } from "bun:test"
import { type AnthropicError, errorOf } from "../testing/answered-errors.ts"
import { harness, listen } from "../testing/harness.ts"
import { CHAT } from "../testing/requests.ts"

describe("bodies", () => {
  const server = harness({ settings: (settings) => void (settings.maxBodyBytes = 5000) })
  test("malformed JSON is 400 with the byte offset, whatever the content type", async () => {
    const response = await server.post("/v1/chat/completions", '{"messages": [}', {
      "content-type": "text/plain",
    })
    expect(response.status).toBe(400)
    expect((await errorOf(response)).message).toBe(
      'invalid JSON request at byte 14: expected a JSON value, found "}"',
    )
  })

  const faults: [unknown, string, string][] = [
    [{}, "messages", "missing messages"],
    [{ messages: "x" }, "messages", "messages is"],
    [
      { messages: [] },
      "messages",
      "messages is []; expected an array of at least 1 and at most 100000, each an object",
    ],
    [
      { ...CHAT, temperature: "hot" },
      "temperature",
      'temperature is "hot"; expected a number from 0 to 100',
    ],
    [
      { ...CHAT, max_tokens: -2 },
      "max_tokens",
      "max_tokens is -2; expected an integer of at least -1",
    ],
    [
      { ...CHAT, stream_options: { include_usage: 3 } },
      "stream_options",
      "expected an object with {include_usage: true or false;",
    ],
    [{ ...CHAT, max_tokens: "5" }, "max_tokens", 'max_tokens is "5"'],
    [{ messages: [{ role: 5, content: "a" }] }, "messages[0].role", "messages[0].role is 5"],
    [{ ...CHAT, top_logprobs: 21 }, "top_logprobs", "top_logprobs is 21"],
    [{ ...CHAT, n: 2 }, "n", "n 2 is not supported: only one answer is given"],
    [{ ...CHAT, logit_bias: { 5: 1 } }, "logit_bias", "not supported"],
    [{ ...CHAT, frequency_penalty: 0.5 }, "frequency_penalty", "there are no penalties"],
    [{ ...CHAT, response_format: { type: "json_object" } }, "response_format", "not supported"],
    [{ ...CHAT, tool_choice: "required" }, "tool_choice", "not supported"],
    [
      { ...CHAT, reasoning_effort: "huge" },
      "reasoning_effort",
      '"huge"; expected "none", "minimal", "low", "medium", "high", "xhigh" or "max"',
    ],
    [{ ...CHAT, top_logprobs: 3 }, "top_logprobs", "needs logprobs"],
    [
      { ...CHAT, stop: Array(17).fill("a") },
      "stop",
      "expected a string of at most 256 characters or an array of at most 16, each",
    ],
    [{ ...CHAT, top_k: 1e15 }, "top_k", "expected an integer from -1 to 4294967295"],
    [[], "", "must be a JSON object"],
    ["5", "", "must be a JSON object"],
  ]
  test.each(faults)("chat refuses %j naming %s", async (body, param, words) => {
    const response = await server.post("/v1/chat/completions", body)
    const error = await errorOf(response)
    expect({ status: response.status, param: error.param ?? "" }).toEqual({ status: 400, param })
    expect(error.message).toContain(words)
    expect(error.type).toBe("invalid_request_error")
  })

  test("neutral values of unsupported fields, nulls and unknown fields are accepted", async () => {
    const neutral = {
      n: 1,
      logit_bias: {},
      frequency_penalty: 0,
      presence_penalty: 0,
      repetition_penalty: 1,
      response_format: { type: "text" },
      temperature: null,
      stop: null,
      whatever: { a: 1 },
      metadata: {},
      store: true,
      tool_choice: { type: "auto" },
    }
    expect((await server.post("/v1/chat/completions", { ...CHAT, ...neutral })).status).toBe(200)
  })

  test("a body over the limit is 413 in the caller's shape, declared or chunked", async () => {
    const long = { messages: [{ role: "user", content: "x".repeat(6000) }] }
    const declared = await server.post("/v1/messages", long)
    expect(declared.status).toBe(413)
    expect(((await declared.json()) as AnthropicError).error.type).toBe("request_too_large")
    const listening = listen({ settings: (settings) => void (settings.maxBodyBytes = 5000) })
    async function* chunks() {
      for (let index = 0; index < 10; index++) yield "x".repeat(1000)
    }
    const chunked = await fetch(`${listening.url}/v1/chat/completions`, {
      method: "POST",
      body: new ReadableStream({
        async start(controller) {
          for await (const chunk of chunks()) controller.enqueue(new TextEncoder().encode(chunk))
          controller.close()
        },
      }),
    })
    expect({ status: chunked.status, type: (await errorOf(chunked)).type }).toEqual({
      status: 413,
      type: "invalid_request_error",
    })
    await listening.stop()
  })

  test("a prompt that does not fit is 400 with both counts and the agents' words", async () => {
    const small = harness({ contextTokens: 20 })
    const body = { messages: [{ role: "user", content: "the world ".repeat(50) }] }
    const chat = await small.post("/v1/chat/completions", body)
    expect(chat.status).toBe(400)
    const error = await errorOf(chat)
    expect(error).toMatchObject({
      code: "context_length_exceeded",
      param: "messages",
      n_ctx: 20,
      type: "invalid_request_error",
    })
    expect(error.n_prompt_tokens).toBeGreaterThan(20)
    expect(error.message).toContain("maximum context length is 20 tokens")
    expect(error.message).toContain("a larger --ctx")
    const anthropic = (await (
      await small.post("/v1/messages", { ...body, max_tokens: 5 })
    ).json()) as AnthropicError
    expect(anthropic.error.message).toMatch(/prompt is too long: \d+ tokens > 20 maximum/)
    expect(anthropic.error.n_ctx).toBe(20)
    expect(
      (await errorOf(await small.post("/v1/completions", { prompt: "the world ".repeat(50) })))
        .param,
    ).toBe("prompt")
    expect(
      (await errorOf(await small.post("/v1/responses", { input: "the world ".repeat(50) }))).param,
    ).toBe("input")
  })
})
