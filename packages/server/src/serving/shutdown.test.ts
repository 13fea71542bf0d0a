import { expect, test } from "bun:test"
import { shutDown } from "./shutdown.ts"
import { listen, until } from "../testing/harness.ts"

const chat = (words: string) =>
  JSON.stringify({ messages: [{ role: "user", content: words }], stream: true, thinking: false })

test("shutting down lets a running request finish and refuses new ones meanwhile", async () => {
  const server = listen({ script: () => "the world and ".repeat(10), tokenMs: 3 })
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    body: chat("hi"),
  })
  const down = shutDown(server.app, server.state, server.registry, 5000)
  const refused = await fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    body: chat("hi"),
  })
  expect(refused.status).toBe(503)
  expect(await (await fetch(`${server.url}/health`)).json()).toEqual({ status: "draining" })
  expect(await response.text()).toContain("[DONE]")
  await down
  expect(server.engine.isClosed).toBe(true)
  expect(await fetch(`${server.url}/health`).catch((error: unknown) => error)).toBeInstanceOf(Error)
})

test("after the drain time what still runs is cancelled with an error frame", async () => {
  const server = listen({ script: () => "the world and ".repeat(100_000), tokenMs: 3 })
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    body: chat("hi"),
  })
  await until(() => (server.registry.list()[0]?.outputTokens ?? 0) > 2)
  const text = response.text()
  const begin = performance.now()
  await shutDown(server.app, server.state, server.registry, 50)
  expect(performance.now() - begin).toBeLessThan(15_000)
  expect(await text).toContain("the server is shutting down")
  expect(server.engine.cancelled).toHaveLength(1)
})
