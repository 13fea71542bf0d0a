import { describe, expect, test } from "bun:test"
import { type Harness, harness, listen } from "../testing/harness.ts"

const CHAT = { messages: [{ role: "user", content: "hi" }], thinking: { type: "disabled" } }

interface OpenAiError {
  error: {
    message: string
    type: string
    param: string | null
    code: string | null
    n_prompt_tokens?: number
    n_ctx?: number
  }
}
interface AnthropicError {
  type: string
  error: { type: string; message: string; n_prompt_tokens?: number; n_ctx?: number }
  request_id: string
}
const errorOf = async (response: Response) => ((await response.json()) as OpenAiError).error

describe("paths and methods", () => {
  const server = harness()
  test("an unknown path is 404 in the caller's shape", async () => {
    const response = await server.get("/v1/nothing")
    expect(response.status).toBe(404)
    expect(await errorOf(response)).toMatchObject({
      message: "unknown endpoint",
      type: "not_found_error",
    })
    const anthropic = await server.get("/v1/messages/nothing")
    expect(anthropic.status).toBe(404)
    expect((await anthropic.json()) as AnthropicError).toMatchObject({
      type: "error",
      error: { type: "not_found_error" },
    })
  })

  test("a known path with a wrong method is 405 and says which methods are allowed", async () => {
    const response = await server.get("/v1/chat/completions")
    expect(response.status).toBe(405)
    expect(response.headers.get("allow")).toBe("OPTIONS, POST")
    const models = await server.post("/v1/models", {})
    expect(models.headers.get("allow")).toBe("GET, HEAD, OPTIONS")
  })

  test("another model's name is 404, whatever is written in it", async () => {
    for (const name of ["nope", "%25zz", "a/%25zz", "a%2Fb", "%E0%A4%A"]) {
      const response = await server.get(`/v1/models/${name}`)
      expect({ name, status: response.status, ...(await errorOf(response)) }).toMatchObject({
        name,
        status: 404,
        code: "model_not_found",
      })
    }
    expect((await server.post("/v1/models/a/b", {})).status).toBe(405)
  })

  test(
    "OPTIONS is 204 everywhere; the query string does not matter; paths work " + "without /v1",
    async () => {
      expect(
        (await server.app.handle(new Request("http://localhost/v1/models", { method: "OPTIONS" })))
          .status,
      ).toBe(204)
      expect((await server.post("/v1/messages?beta=true", { ...CHAT, max_tokens: 9 })).status).toBe(
        200,
      )
      for (const path of ["/chat/completions", "/messages", "/completions", "/responses"]) {
        expect({
          path,
          status: (await server.post(path, { ...CHAT, prompt: "a", input: "a" })).status,
        }).toEqual({ path, status: 200 })
      }
      expect((await server.get("/models")).status).toBe(200)
    },
  )

  test("every answer carries a request id", async () => {
    for (const response of [
      await server.get("/health"),
      await server.get("/nothing"),
      await server.post("/v1/chat/completions", CHAT),
      await server.post("/v1/chat/completions", { ...CHAT, stream: true }),
    ]) {
      expect(response.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/)
      await response.text()
    }
  })
})

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
      "messages is []; expected an array of at least 1, each an object",
    ],
    [
      { ...CHAT, temperature: "hot" },
      "temperature",
      'temperature is "hot"; expected a number from 0 to 100',
    ],
    [
      { ...CHAT, max_tokens: -1 },
      "max_tokens",
      "max_tokens is -1; expected an integer of at least 0",
    ],
    [
      { ...CHAT, stream_options: { include_usage: 3 } },
      "stream_options",
      "expected an object with {include_usage: true or false;",
    ],
    [{ ...CHAT, max_tokens: "5" }, "max_tokens", 'max_tokens is "5"'],
    [{ messages: [{ role: 5, content: "a" }] }, "messages[0].role", "messages[0].role is 5"],
    [{ ...CHAT, top_logprobs: 21 }, "top_logprobs", "top_logprobs is 21"],
    [{ ...CHAT, n: 2 }, "n", "only 1 is supported"],
    [{ ...CHAT, logit_bias: { 5: 1 } }, "logit_bias", "not supported"],
    [{ ...CHAT, frequency_penalty: 0.5 }, "frequency_penalty", "penalties are not supported"],
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
    [{ ...CHAT, top_k: 1e15 }, "top_k", "expected an integer from 0 to 4294967295"],
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

  test(
    "a prompt that does not fit is 400 with both counts and the words that agents " + "look for",
    async () => {
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
        (await errorOf(await small.post("/v1/responses", { input: "the world ".repeat(50) })))
          .param,
      ).toBe("input")
    },
  )
})

describe("access", () => {
  test("with a key every path but health needs it, as Bearer or x-api-key", async () => {
    const server = harness({ settings: (settings) => void (settings.access.apiKey = "secret") })
    expect((await server.get("/health")).status).toBe(200)
    const missing = await server.post("/v1/messages", CHAT)
    expect(missing.status).toBe(401)
    expect(((await missing.json()) as AnthropicError).error.type).toBe("authentication_error")
    expect((await server.get("/v1/models", { authorization: "Bearer wrong" })).status).toBe(401)
    expect((await server.get("/v1/models", { authorization: "Bearer secret" })).status).toBe(200)
    expect((await server.get("/v1/models", { "x-api-key": "secret" })).status).toBe(200)
    expect((await server.get("/swagger")).status).toBe(401)
  })

  test("without a key any value is accepted", async () => {
    expect((await harness().get("/v1/models", { authorization: "Bearer anything" })).status).toBe(
      200,
    )
  })

  test(
    "a foreign Host is refused on a loopback bind, an address or allowed name " + "is not",
    async () => {
      const server = harness({
        settings: (settings) => void (settings.access.allowedHosts = ["Box.local"]),
      })
      const status = async (host: string) => (await server.get("/v1/models", { host })).status
      expect(await status("evil.example:8000")).toBe(403)
      for (const host of [
        "127.0.0.1:8000",
        "localhost",
        "[::1]:8000",
        "192.168.1.5",
        "box.local:1",
      ])
        expect({ host, status: await status(host) }).toEqual({ host, status: 200 })
      const open = harness({ settings: (settings) => void (settings.access.isLoopback = false) })
      expect((await open.get("/v1/models", { host: "my.server" })).status).toBe(200)
    },
  )

  test(
    "a web page cannot make the server work: a POST of a foreign origin is refused before it " +
      "begins",
    async () => {
      // what a form or a fetch without preflight sends: any origin, a body that says it is text
      const status = async (
        server: Harness,
        headers: Record<string, string>,
        path = "/v1/chat/completions",
      ) =>
        (
          await server.post(path, CHAT, {
            "content-type": "text/plain",
            host: "127.0.0.1:8000",
            ...headers,
          })
        ).status
      const plain = harness()
      for (const origin of [
        "https://evil.example",
        "http://localhost:3000",
        "http://127.0.0.1:8001",
        "null",
      ])
        expect({ origin, status: await status(plain, { origin }) }).toEqual({ origin, status: 403 })
      expect(plain.engine.requests).toHaveLength(0)
      expect(
        await (
          await plain.post("/v1/messages", CHAT, { origin: "null", host: "localhost" })
        ).json(),
      ).toMatchObject({ type: "error", error: { type: "permission_error" } })
      expect(await status(plain, {})).toBe(200) // a program
      expect(await status(plain, { origin: "http://127.0.0.1:8000" })).toBe(200) // the API page
      // read, but not readable
      expect((await plain.get("/v1/models", { origin: "https://evil.example" })).status).toBe(200)
      const origin = "https://ui.example"
      expect(
        await status(
          harness({ settings: (settings) => void (settings.access.corsOrigins = [origin]) }),
          { origin },
        ),
      ).toBe(200)
      expect(
        await status(
          harness({ settings: (settings) => void (settings.access.corsAnyOrigin = true) }),
          { origin },
        ),
      ).toBe(200)
      const locked = harness({ settings: (settings) => void (settings.access.apiKey = "secret") })
      expect([
        await status(locked, { origin }),
        await status(locked, { origin, authorization: "Bearer secret" }),
      ]).toEqual([401, 200])
    },
  )

  test("CORS headers only for allowed origins, on preflights and on errors too", async () => {
    const origin = "https://ui.example"
    expect(
      (await harness().get("/v1/models", { origin })).headers.get("access-control-allow-origin"),
    ).toBeNull()
    const any = harness({ settings: (settings) => void (settings.access.corsAnyOrigin = true) })
    expect((await any.get("/nothing", { origin })).headers.get("access-control-allow-origin")).toBe(
      "*",
    )
    const some = harness({ settings: (settings) => void (settings.access.corsOrigins = [origin]) })
    expect(
      (await some.get("/v1/models", { origin: "https://other" })).headers.get(
        "access-control-allow-origin",
      ),
    ).toBeNull()
    const preflight = await some.app.handle(
      new Request("http://localhost/v1/chat/completions", {
        method: "OPTIONS",
        headers: { origin, "access-control-request-headers": "x-custom" },
      }),
    )
    expect(preflight.headers.get("access-control-allow-origin")).toBe(origin)
    expect(preflight.headers.get("access-control-allow-headers")).toBe("x-custom")
    const stream = await some.app.handle(
      new Request("http://localhost/v1/chat/completions", {
        method: "POST",
        headers: { origin },
        body: JSON.stringify({ ...CHAT, stream: true }),
      }),
    )
    expect(stream.headers.get("access-control-allow-origin")).toBe(origin)
    await stream.text()
  })
})

describe("states", () => {
  test(
    "health says loading with progress, then ok, then draining; generation is 503 " + "meanwhile",
    async () => {
      const server = harness({ isLoading: true })
      server.state.progress = 0.42
      const loading = await server.get("/health")
      expect([loading.status, await loading.json()]).toEqual([
        503,
        { status: "loading", progress: 0.42 },
      ])
      const refused = await server.post("/v1/chat/completions", CHAT)
      expect([refused.status, (await errorOf(refused)).code]).toEqual([503, "loading"])
      const ready = harness()
      expect(await (await ready.get("/healthz")).json()).toEqual({ status: "ok" })
      ready.state.drain()
      expect((await ready.get("/health")).status).toBe(503)
      expect((await errorOf(await ready.post("/v1/chat/completions", CHAT))).code).toBe("draining")
    },
  )

  test("HEAD works where GET does, with an empty body", async () => {
    const listening = listen()
    const response = await fetch(`${listening.url}/v1/models`, { method: "HEAD" })
    expect([response.status, await response.text()]).toEqual([200, ""])
    await listening.stop()
  })
})

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
    "what decides about thinking: an explicit off, the effort, an explicit on, the model's " +
      "name, the default",
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

  test("a running response is cancelled by its id, a stored one is never there", async () => {
    const server = harness({ script: () => "the ".repeat(50_000), tokenMs: 2 })
    const response = await server.post("/v1/responses", { input: "hi", stream: true })
    const reader = response.body?.getReader()
    const id =
      /resp_[0-9a-f]+/.exec(new TextDecoder().decode((await reader?.read())?.value))?.[0] ?? ""
    expect((await server.post(`/v1/responses/${id}/cancel`, "")).status).toBe(200)
    let text = ""
    for (
      let part = await reader?.read();
      part !== undefined && !part.done;
      part = await reader?.read()
    )
      text += new TextDecoder().decode(part.value)
    expect(text).toContain("event: response.failed")
    expect(await errorOf(await server.get(`/v1/responses/${id}`))).toMatchObject({
      code: "response_not_found",
      type: "not_found_error",
    })
  })
})
