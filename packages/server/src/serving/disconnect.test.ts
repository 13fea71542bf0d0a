import { describe, expect, test } from "bun:test"
import { harness, type Listening, listen, until } from "../testing/harness.ts"

const ENDLESS = "the world and ".repeat(20_000)
const chat = (stream: boolean) =>
  JSON.stringify({
    messages: [{ role: "user", content: "hi" }],
    stream,
    thinking: { type: "disabled" },
  })

/** Nothing is admitted, and nothing runs inside the engine. */
const isIdle = (server: Listening) =>
  server.registry.size === 0 && server.engine.stats().running + server.engine.stats().queued === 0

function start(
  server: Listening,
  path: string,
  body: string,
  signal: AbortSignal,
): Promise<Response> {
  return fetch(server.url + path, {
    method: "POST",
    body,
    signal,
    headers: { "content-type": "application/json" },
  })
}

describe("a client that leaves", () => {
  test("stops a stream within a step", async () => {
    const server = listen({ script: () => ENDLESS, tokenMs: 5 })
    const controller = new AbortController()
    const response = await start(server, "/v1/chat/completions", chat(true), controller.signal)
    await response.body?.getReader().read()
    expect(server.registry.size).toBe(1)
    controller.abort()
    await until(() => isIdle(server), 250)
    expect(server.engine.cancelled).toHaveLength(1)
    expect(server.lines.at(-1)).toMatchObject({ status: 499, generation: { finish: "cancelled" } })
    await server.stop()
  })

  test("stops a whole answer, although nothing was written yet", async () => {
    const server = listen({ script: () => ENDLESS, tokenMs: 5 })
    const controller = new AbortController()
    const gone = start(server, "/v1/chat/completions", chat(false), controller.signal).catch(
      (error: unknown) => error,
    )
    await until(() => (server.registry.list()[0]?.outputTokens ?? 0) > 2)
    controller.abort()
    expect(await gone).toBeInstanceOf(Error)
    await until(() => isIdle(server), 250)
    expect(server.lines.at(-1)?.status).toBe(499)
    await server.stop()
  })

  test("stops a prefill", async () => {
    const server = listen({ script: () => ENDLESS, prefillMs: 60_000 })
    const controller = new AbortController()
    const gone = start(server, "/v1/messages", chat(true), controller.signal).catch(
      (error: unknown) => error,
    )
    await until(() => server.engine.requests.length === 1)
    await Bun.sleep(80)
    controller.abort()
    await gone
    await until(() => isIdle(server), 250)
    // what was not read counts in no rate
    expect(server.lines.at(-1)?.generation).toMatchObject({ prefilledTokens: 0 })
    expect(await (await fetch(`${server.url}/metrics`)).text()).toContain(
      "ds4_prefill_tokens_per_second_count 0",
    )
    await server.stop()
  })

  test("leaves the queue at any time, also in the first moments when the stream is not yet " +
    "answered", async () => {
    const server = listen({
      script: () => ENDLESS,
      tokenMs: 5,
      settings: (settings) => void (settings.admission = { parallel: 1, maxQueue: 200 }),
    })
    const first = new AbortController()
    await start(server, "/v1/chat/completions", chat(true), first.signal)
    const paths = ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/completions"]
    const clients = Array.from({ length: 60 }, async (_, index) => {
      const controller = new AbortController()
      const body = JSON.stringify({
        messages: [{ role: "user", content: "hi" }],
        input: "hi",
        prompt: "hi",
        stream: index % 5 !== 0,
        thinking: false,
      })
      const request = start(
        server,
        paths[index % paths.length] ?? "",
        body,
        controller.signal,
      ).catch((error: unknown) => error)
      await Bun.sleep(2 * index)
      controller.abort()
      await request
    })
    await Promise.all(clients)
    await until(() => server.registry.size === 1)
    first.abort()
    await until(() => isIdle(server))
    expect(
      server.lines.filter((line) => line.generation !== undefined && line.status !== 499),
    ).toEqual([])
    await server.stop()
  }, 120_000)

  test("100 random aborts over all endpoints leave no running job", async () => {
    const server = listen({
      script: () => ENDLESS,
      tokenMs: 1,
      settings: (settings) => void (settings.admission.parallel = 200),
    })
    let seed = 7
    const random = () => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff) / 0x8000_0000
    const paths = ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/completions"]
    const clients = Array.from({ length: 100 }, async (_, index) => {
      const controller = new AbortController()
      const body = JSON.stringify({
        messages: [{ role: "user", content: "hi" }],
        input: "hi",
        prompt: "hi",
        stream: random() < 0.6,
        thinking: false,
      })
      const delayMs = random() * 60
      const request = start(server, paths[index % paths.length] ?? "", body, controller.signal)
        .then(async (response) => response.body?.getReader().read())
        .catch((error: unknown) => error)
      await Bun.sleep(delayMs)
      controller.abort()
      await request
    })
    await Promise.all(clients)
    await until(() => isIdle(server))
    expect(server.engine.requests.length).toBeGreaterThan(20)
    expect(server.engine.cancelled.length).toBe(server.engine.requests.length)
    const after = await fetch(`${server.url}/health`)
    expect(after.status).toBe(200)
    await server.stop()
  }, 120_000)
})

describe("a request", () => {
  test(
    "is refused with 429 and retry-after when the queue is full, and served when there is room " +
      "again",
    async () => {
      const server = listen({
        script: () => ENDLESS,
        tokenMs: 5,
        settings: (settings) => void (settings.admission = { parallel: 1, maxQueue: 1 }),
      })
      const controller = new AbortController()
      const running = [
        start(server, "/v1/chat/completions", chat(true), controller.signal),
        start(server, "/v1/chat/completions", chat(true), controller.signal),
      ]
      await Promise.all(running)
      const refused = await server.post("/v1/chat/completions", chat(false))
      expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "5"])
      expect((await refused.json()) as object).toMatchObject({
        error: { type: "rate_limit_error", code: "queue_full" },
      })
      controller.abort()
      await until(() => isIdle(server))
      const next = new AbortController()
      expect((await start(server, "/v1/chat/completions", chat(true), next.signal)).status).toBe(
        200,
      )
      next.abort()
      await until(() => isIdle(server))
      await server.stop()
    },
  )

  test("can be seen and cancelled by its id; its stream ends with an error frame", async () => {
    const server = listen({ script: () => ENDLESS, tokenMs: 5 })
    const response = await start(
      server,
      "/v1/chat/completions",
      chat(true),
      new AbortController().signal,
    )
    const id = response.headers.get("x-request-id") ?? ""
    const list = (await (await fetch(`${server.url}/v1/requests`)).json()) as {
      data: { id: string; phase: string }[]
    }
    expect(list.data.map((each) => each.id)).toEqual([id])
    expect((await fetch(`${server.url}/v1/requests/${id}`, { method: "DELETE" })).status).toBe(200)
    const text = await response.text()
    expect(text).toContain("cancelled by DELETE")
    expect(text).not.toContain("[DONE]")
    expect((await fetch(`${server.url}/v1/requests/${id}`, { method: "DELETE" })).status).toBe(404)
    await until(() => isIdle(server))
    await server.stop()
  })

  test("gets keep-alive frames while nothing can be said", async () => {
    const settings = {
      prefillMs: 200,
      settings: (
        each: Parameters<NonNullable<Parameters<typeof harness>[0]>["settings"] & object>[0],
      ) => void (each.timing.keepAliveMs = 40),
    }
    const chatText = await (await harness(settings).post("/v1/chat/completions", chat(true))).text()
    expect(chatText).toMatch(/^: (queued|prefill|generating)/m)
    const anthropic = await (await harness(settings).post("/v1/messages", chat(true))).text()
    expect(anthropic).toContain('event: ping\ndata: {"type":"ping"}')
    const responses = await (
      await harness(settings).post("/v1/responses", { input: "hi", stream: true })
    ).text()
    expect(responses.match(/event: response.in_progress/g)?.length).toBeGreaterThan(2)
    const progress = await (
      await harness(settings).post("/v1/chat/completions", {
        messages: [{ content: "hi" }],
        stream: true,
        stream_options: { include_progress: true },
      })
    ).text()
    expect(progress).toContain('"progress":"')
  })

  test("whose client does not read is cancelled after the stall limit", async () => {
    const server = listen({
      script: () => "the world and ".repeat(400_000),
      settings: ({ timing, answers }) => {
        timing.stallMs = 300
        answers.maxTokens = 5_000_000
      },
      contextTokens: 10_000_000,
      batchTokens: 1000,
    })
    const { hostname, port } = new URL(server.url)
    const body = JSON.stringify({
      messages: [{ content: "hi" }],
      stream: true,
      thinking: false,
      max_tokens: 5_000_000,
    })
    const socket = await Bun.connect({ hostname, port: Number(port), socket: { data() {} } })
    socket.pause()
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: ` +
        `${body.length}\r\n\r\n${body}`,
    )
    await until(() => server.registry.size === 1)
    await until(() => server.registry.size === 0, 100_000)
    expect(server.lines.at(-1)?.generation?.finish).toBe("cancelled")
    socket.end()
    await server.stop()
  }, 120_000)
})
