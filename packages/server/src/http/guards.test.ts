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
