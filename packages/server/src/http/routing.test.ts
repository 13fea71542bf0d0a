import { describe, expect, test } from "bun:test"
import { type AnthropicError, errorOf } from "../testing/answered-errors.ts"
import { harness, listen } from "../testing/harness.ts"
import { CHAT } from "../testing/requests.ts"

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

  test("Anthropic's clients read errors of shared paths in their shape, others not", async () => {
    const version = { "anthropic-version": "2023-06-01" }
    for (const path of ["/v1/models/nope", "/models/nope", "/v1/models/a/b", "/v1/nothing"]) {
      const response = await server.get(path, version)
      expect([path, response.status]).toEqual([path, 404])
      expect((await response.json()) as AnthropicError).toMatchObject({
        type: "error",
        error: { type: "not_found_error" },
        request_id: response.headers.get("request-id"),
      })
      expect((await errorOf(await server.get(path))).type).toBe("not_found_error")
    }
    const chat = await server.post("/v1/chat/completions", {}, version)
    expect((await errorOf(chat)).param).toBe("messages")
  })

  test("names of an object's own methods are unknown everywhere", async () => {
    for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty", "valueOf"])
      for (const path of ["/", "/v1/", "/swagger/assets/", "/v1/models/", "/v1/responses/"]) {
        const response = await server.get(path + name)
        expect([path, name, response.status]).toEqual([path, name, 404])
        await response.text()
      }
    const cancelled = new Request("http://localhost/v1/requests/__proto__", { method: "DELETE" })
    expect((await server.app.handle(cancelled)).status).toBe(404)
  })

  test("OPTIONS is 204; the query string does not matter; paths work without /v1", async () => {
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
  })

  test("every answer carries a request id", async () => {
    for (const response of [
      await server.get("/health"),
      await server.get("/nothing"),
      await server.post("/v1/chat/completions", CHAT),
      await server.post("/v1/chat/completions", { ...CHAT, stream: true }),
    ]) {
      const id = response.headers.get("x-request-id")
      expect(id).toMatch(/^req_[0-9a-f]{32}$/)
      expect(response.headers.get("request-id")).toBe(id)
      await response.text()
    }
  })

  test("HEAD works where GET does, with an empty body", async () => {
    const listening = listen()
    const response = await fetch(`${listening.url}/v1/models`, { method: "HEAD" })
    expect([response.status, await response.text()]).toEqual([200, ""])
    await listening.stop()
  })
})
