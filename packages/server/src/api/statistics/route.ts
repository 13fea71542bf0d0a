import { Elysia } from "elysia"
import type { RequestRegistry } from "../../serving/request-registry.ts"
import type { ServingState } from "../../serving/serving-state.ts"
import type { Gauges, Statistics } from "../../serving/statistics.ts"

/** Counters and gauges of the server, as JSON and as Prometheus text. */
export const statistics = (
  registry: RequestRegistry,
  counters: Statistics,
  state: ServingState,
) => {
  const gauges = (): Gauges => ({
    active: registry.size,
    ...(state.model?.chat.engine.stats() ?? { running: 0, queued: 0, sessions: 0 }),
    residentBytes: process.memoryUsage.rss(),
  })
  const prometheus = () =>
    new Response(counters.toPrometheus(gauges()), {
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    })
  const tags = ["server"]
  return new Elysia({ name: "api/statistics" })
    .get("/v1/stats", () => counters.toJson(gauges()), {
      detail: { summary: "Counters as JSON", tags },
    })
    .get("/metrics", prometheus, { detail: { summary: "Counters as Prometheus text", tags } })
}
