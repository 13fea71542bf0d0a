import { expect, test } from "bun:test"
import { Histogram } from "./statistics.ts"
import { harness } from "../testing/harness.ts"

test(
  "requests, tokens and times are counted, as Prometheus text and as JSON, and each request has " +
    "one log line",
  async () => {
    const server = harness()
    await server.post("/v1/chat/completions", { messages: [{ content: "hi" }], thinking: false })
    await (
      await server.post("/v1/messages", {
        messages: [{ content: "hi" }],
        stream: true,
        thinking: { type: "disabled" },
      })
    ).text()
    await server.post("/v1/chat/completions", {})
    await server.get("/nothing")
    await Bun.sleep(5)
    const metrics = await (await server.get("/metrics")).text()
    expect(metrics).toContain('ds4_requests_total{endpoint="/v1/chat/completions",status="200"} 1')
    expect(metrics).toContain('ds4_requests_total{endpoint="/v1/chat/completions",status="400"} 1')
    expect(metrics).toContain('ds4_requests_total{endpoint="unknown",status="404"} 1')
    expect(metrics).toContain("ds4_ttft_seconds_count 2")
    for (const line of metrics.trim().split("\n"))
      expect(line).toMatch(
        /^(# TYPE ds4_\w+ (counter|gauge|histogram)|ds4_\w+(\{[^}]*\})? -?[\d.e+-]+)$/,
      )
    const stats = (await (await server.get("/v1/stats")).json()) as {
      tokens: { output: number }
      last_minute: { requests: number }
      active: number
    }
    expect(stats).toMatchObject({
      active: 0,
      last_minute: { requests: 2 },
      tokens: { output: 2 * server.state.require().chat.tokenizer.encode("Hello world").length },
    })
    expect(
      server.lines.map((line) => `${line.method} ${line.path} ${line.status}`).slice(0, 4),
    ).toEqual([
      "POST /v1/chat/completions 200",
      "POST /v1/messages 200",
      "POST /v1/chat/completions 400",
      "GET /nothing 404",
    ])
    expect(server.lines[0]?.generation).toMatchObject({ finish: "stop", cachedTokens: 0 })
  },
)

test("text in a client's path never becomes a label: the counters stay bounded", async () => {
  const server = harness({ settings: (settings) => void (settings.access.apiKeys = ["secret"]) })
  const key = { authorization: "Bearer secret" }
  for (const id of ["a", "b"]) {
    await server.get(`/v1/models/${id}`, key)
    await server.get(`/guess/${id}`)
    await server.get(`/guess/${id}`, key)
    await server.post(`/v1/responses/${id}/cancel`, {}, key)
  }
  await Bun.sleep(5)
  const rows = (
    (await (await server.get("/v1/stats", key)).json()) as {
      requests: { endpoint: string; status: number; count: number }[]
    }
  ).requests
  expect(
    rows.map(({ endpoint, status, count }) => `${endpoint} ${status} ${count}`).sort(),
  ).toEqual([
    "/v1/models/:id 404 2",
    "/v1/responses/:id/cancel 404 2",
    "unknown 401 2",
    "unknown 404 2",
  ])
})

test("histogram buckets cumulate and keep what is above the last bound", () => {
  const histogram = new Histogram([1, 2])
  for (const value of [0.5, 1, 1.5, 9]) histogram.observe(value)
  expect(histogram.lines("x")).toEqual([
    'x_bucket{le="1"} 2',
    'x_bucket{le="2"} 3',
    'x_bucket{le="+Inf"} 4',
    "x_sum 12",
    "x_count 4",
  ])
})
