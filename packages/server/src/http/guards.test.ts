import { describe, expect, test } from "bun:test"
import { mkdtempSync, writeFileSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import { defaultOptions } from "@ds4/options"
import { settingsOf } from "../settings.ts"
import { type AnthropicError, errorOf } from "../testing/answered-errors.ts"
import { type Harness, harness } from "../testing/harness.ts"
import { readApiKeys } from "./api-key.ts"
import { CHAT } from "../testing/requests.ts"

describe("access", () => {
  test("with a key every path but health needs it, as Bearer or x-api-key", async () => {
    const server = harness({ settings: (settings) => void (settings.access.apiKeys = ["secret"]) })
    expect((await server.get("/health")).status).toBe(200)
    const missing = await server.post("/v1/messages", CHAT)
    expect(missing.status).toBe(401)
    expect(((await missing.json()) as AnthropicError).error.type).toBe("authentication_error")
    expect((await server.get("/v1/models", { authorization: "Bearer wrong" })).status).toBe(401)
    expect((await server.get("/v1/models", { authorization: "Bearer secret" })).status).toBe(200)
    expect((await server.get("/v1/models", { "x-api-key": "secret" })).status).toBe(200)
    // The page asks for the key by itself.
    for (const path of ["/swagger", "/swagger/json", "/swagger/assets/swagger-ui.css"])
      expect([path, (await server.get(path)).status]).toEqual([path, 200])
    expect((await server.get("/swagger/other")).status).toBe(401)
  })

  test("without a key any value is accepted", async () => {
    expect((await harness().get("/v1/models", { authorization: "Bearer anything" })).status).toBe(
      200,
    )
  })

  describe("the Host header, by which a web page that rebinds its name is known", () => {
    const bound = (host: string, ...names: string[]) =>
      harness({
        settings: (settings) => {
          const options = { ...defaultOptions("serve"), host, "allow-host": names }
          settings.access = settingsOf(options).access
        },
      })
    const statusOf = async (server: Harness, host: string) =>
      (await server.get("/v1/models", { host })).status
    const FOREIGN = [
      "evil.example",
      "evil.example:8000",
      "evil.example.",
      "localhost.evil.example",
      "127.0.0.1.evil.example:80",
      "evil.example:127.0.0.1",
      "evil.example:",
      "",
    ]

    test.each(["127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "192.168.1.5", "inner.lan"])(
      "without a key is refused when foreign, bound to %s",
      async (host) => {
        const server = bound(host, "Box.example")
        for (const name of FOREIGN)
          expect([name, await statusOf(server, name)]).toEqual([name, 403])
        const own = ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "localhost.", "[::1]:8000"]
        const given = [
          "[fe80::1]",
          "10.0.0.7:80",
          "box.example:1",
          hostname(),
          `${hostname()}.local`,
        ]
        const boundName = host.includes(":") ? `[${host}]` : host
        for (const name of [...own, ...given, boundName])
          expect([name, await statusOf(server, name)]).toEqual([name, 200])
      },
    )

    test("with a key is not looked at, and --allow-host '*' lets all in", async () => {
      const locked = harness({ settings: ({ access }) => void (access.apiKeys = ["secret"]) })
      const headers = { host: "evil.example", authorization: "Bearer secret" }
      expect((await locked.get("/v1/models", headers)).status).toBe(200)
      expect(await statusOf(bound("0.0.0.0", "*"), "evil.example")).toBe(200)
      const answer = await bound("0.0.0.0").get("/v1/models", { host: "evil.example" })
      expect((await errorOf(answer)).message).toContain("--allow-host or set --api-key")
    })
  })

  test("keys come from the flag and from a file, one a line; each of them opens", async () => {
    const folder = mkdtempSync(join(tmpdir(), "ds4-keys-"))
    const file = join(folder, "keys")
    writeFileSync(file, "\ufeff# for agents\r\n  first key \r\n\r\nsecond\n")
    const keys = await readApiKeys({ "api-key": "third", "api-key-file": file })
    expect(keys).toEqual(["third", "first key", "second"])
    const server = harness({ settings: ({ access }) => void (access.apiKeys = keys) })
    const status = async (key: string) =>
      (await server.get("/v1/models", { authorization: `Bearer ${key}` })).status
    for (const key of keys) expect([key, await status(key)]).toEqual([key, 200])
    for (const key of ["first", "# for agents", "secondthird", ""])
      expect([key, await status(key)]).toEqual([key, 401])
    writeFileSync(file, "\n# nothing\n")
    for (const path of [file, join(folder, "absent")])
      expect(
        await readApiKeys({ "api-key": undefined, "api-key-file": path }).catch(String),
      ).toContain(path)
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
      const locked = harness({ settings: ({ access }) => void (access.apiKeys = ["secret"]) })
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
