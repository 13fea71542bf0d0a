import { expect, test } from "bun:test"
import OpenAI from "openai"
import { errorOf } from "../../testing/answered-errors.ts"
import { type Harness, harness, listen, until } from "../../testing/harness.ts"
import { CancelReason, RequestRegistry } from "../../serving/request-registry.ts"
import { CHAT } from "../../testing/requests.ts"

const remove = async (server: Harness, id: string): Promise<Response> =>
  server.app.handle(new Request(`http://localhost/v1/requests/${id}`, { method: "DELETE" }))

test("a cancelled request is not sent again by a client that repeats failures", async () => {
  const server = listen({ script: () => "on and ".repeat(50_000), tokenMs: 2 })
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", maxRetries: 3 })
  const answer = client.chat.completions
    .create({ model: "m", messages: [{ role: "user", content: "hi" }] })
    .catch((error: unknown) => error)
  await until(() => (server.registry.list()[0]?.outputTokens ?? 0) > 0)
  expect((await remove(server, server.registry.list()[0]?.id ?? "")).status).toBe(200)
  expect(await answer).toMatchObject({ status: 499, code: "cancelled" })
  await Bun.sleep(30)
  expect(server.engine.requests).toHaveLength(1)
  await server.stop()
})

test("of a request that is complete nothing is cancelled: 404, by both of its ids", async () => {
  const server = harness()
  const response = await server.post("/v1/chat/completions", CHAT)
  const { id } = (await response.json()) as { id: string }
  for (const each of [id, response.headers.get("x-request-id") ?? ""]) {
    const answer = await remove(server, each)
    expect([answer.status, (await errorOf(answer)).code]).toEqual([404, "request_complete"])
  }
  expect((await errorOf(await remove(server, "req_none"))).code).toBe("request_not_found")
})

test("a complete answer whose last frames wait for the client is not cancelled", () => {
  const registry = new RequestRegistry({ parallel: 1, maxQueue: 1 })
  const active = registry.admit("req_1", "/v1/messages", "m")
  active.isComplete = true
  expect(registry.cancel("req_1", new CancelReason("operator", "by hand"))).toBe("complete")
  expect(active.controller.signal.aborted).toBe(false)
})
