import { describe, expect, test } from "bun:test"
import { errorOf } from "../testing/answered-errors.ts"
import { harness } from "../testing/harness.ts"
import { CHAT } from "../testing/requests.ts"

describe("states", () => {
  test("health says loading, ok, then draining; generation is 503 before and after", async () => {
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
  })
})
