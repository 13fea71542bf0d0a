import { describe, expect, test } from "bun:test"
import type { AnthropicError } from "../testing/answered-errors.ts"
import { type Harness, harness } from "../testing/harness.ts"
import { CHAT } from "../testing/requests.ts"

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

  test("on loopback a foreign Host is refused, an address or allowed name is not", async () => {
    const server = harness({
      settings: (settings) => void (settings.access.allowedHosts = ["Box.local"]),
    })
    const status = async (host: string) => (await server.get("/v1/models", { host })).status
    expect(await status("evil.example:8000")).toBe(403)
    for (const host of ["127.0.0.1:8000", "localhost", "[::1]:8000", "192.168.1.5", "box.local:1"])
      expect({ host, status: await status(host) }).toEqual({ host, status: 200 })
    const open = harness({ settings: (settings) => void (settings.access.isLoopback = false) })
    expect((await open.get("/v1/models", { host: "my.server" })).status).toBe(200)
  })

  describe("a web page", () => {
    const origin = "https://ui.example"
    /** The status of a POST that a form or a fetch without preflight can send. */
    const status = async (server: Harness, headers: Record<string, string>) => {
      const plain = { "content-type": "text/plain", host: "127.0.0.1:8000" }
      return (await server.post("/v1/chat/completions", CHAT, { ...plain, ...headers })).status
    }

    test("of a foreign origin is refused before any work begins", async () => {
      const server = harness()
      const foreign = ["https://evil.example", "http://localhost:3000", "http://127.0.0.1:8001"]
      for (const each of [...foreign, "null"])
        expect([each, await status(server, { origin: each })]).toEqual([each, 403])
      expect(server.engine.requests).toHaveLength(0)
      const refused = await server.post("/v1/messages", CHAT, { origin: "null", host: "localhost" })
      expect(await refused.json()).toMatchObject({
        type: "error",
        error: { type: "permission_error" },
      })
      // A page may send a GET; the browser does not let it read the answer.
      expect((await server.get("/v1/models", { origin: foreign[0] ?? "" })).status).toBe(200)
    })

    test("of the server itself may post, and so may a program, which sends no origin", async () => {
      expect(await status(harness(), {})).toBe(200)
      expect(await status(harness(), { origin: "http://127.0.0.1:8000" })).toBe(200)
    })

    test("of an allowed origin may post; with a key only the key counts", async () => {
      const some = harness({ settings: ({ access }) => void (access.corsOrigins = [origin]) })
      const any = harness({ settings: ({ access }) => void (access.corsAnyOrigin = true) })
      const locked = harness({ settings: ({ access }) => void (access.apiKey = "secret") })
      expect([await status(some, { origin }), await status(any, { origin })]).toEqual([200, 200])
      expect(await status(locked, { origin })).toBe(401)
      expect(await status(locked, { origin, authorization: "Bearer secret" })).toBe(200)
    })
  })

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
