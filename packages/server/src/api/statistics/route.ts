import { Elysia } from "elysia"
import { Type } from "@sinclair/typebox"
import { operation } from "../../openapi/operation.ts"
import type { RequestRegistry } from "../../serving/request-registry.ts"
import type { ServingState } from "../../serving/serving-state.ts"
import type { Gauges, Statistics } from "../../serving/statistics.ts"

const Counters = Type.Object(
  {
    uptime_seconds: Type.Number(),
    active: Type.Integer(),
    running: Type.Integer(),
    queued: Type.Integer(),
    prefix_cache: Type.Object(
      {
        prefixes: Type.Integer(),
        bytes: Type.Integer(),
        budget_bytes: Type.Integer(),
        hits: Type.Integer(),
        misses: Type.Integer(),
        evictions: Type.Integer(),
      },
      { additionalProperties: true },
    ),
    resident_bytes: Type.Integer(),
  },
  { additionalProperties: true },
)

const EMPTY = { prefixes: 0, bytes: 0, budgetBytes: 0, hits: 0, misses: 0, evictions: 0 }

/** Counters and gauges of the server, as JSON and as Prometheus text. */
export const statistics = (
  registry: RequestRegistry,
  counters: Statistics,
  state: ServingState,
) => {
  const gauges = (): Gauges => ({
    active: registry.size,
    ...(state.model?.chat.engine.stats() ?? { running: 0, queued: 0, prefixCache: EMPTY }),
    residentBytes: process.memoryUsage.rss(),
  })
  const prometheus = () =>
    new Response(counters.toPrometheus(gauges()), {
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    })
  return new Elysia({ name: "api/statistics" })
    .get("/v1/stats", () => counters.toJson(gauges()), {
      detail: operation({ summary: "Counters as JSON", tag: "server", answer: Counters }),
    })
    .get("/metrics", prometheus, {
      detail: operation({
        summary: "Counters as Prometheus text",
        tag: "server",
        answer: "the text format of Prometheus",
      }),
    })
}
