import { Elysia } from "elysia"
import { ApiError } from "../../http/api-error.ts"
import { CancelReason, type RequestRegistry } from "../../serving/request-registry.ts"
import type { ServingState } from "../../serving/serving-state.ts"
import type { Gauges, Statistics } from "../../serving/statistics.ts"

/** What the server does now: the queue, counters, Prometheus text. */
export const requests = (
  registry: RequestRegistry,
  statistics: Statistics,
  state: ServingState,
) => {
  const gauges = (): Gauges => ({
    active: registry.size,
    ...(state.model?.engine.stats() ?? { running: 0, queued: 0, sessions: 0 }),
    residentBytes: process.memoryUsage.rss(),
  })
  const list = () =>
    registry.list().map((active) => ({
      id: active.id,
      endpoint: active.endpoint,
      model: active.model,
      phase: active.phase,
      age_ms: Date.now() - active.acceptedAtMs,
      queue_position: active.phase === "waiting" ? registry.queuePosition(active) : null,
      prompt_tokens: active.promptTokens,
      processed_tokens: active.processedTokens,
      output_tokens: active.outputTokens,
    }))
  return new Elysia({ name: "api/requests" })
    .get("/v1/requests", () => ({ object: "list", data: list() }), {
      detail: { summary: "Waiting and running requests", tags: ["server"] },
    })
    .delete(
      "/v1/requests/:id",
      ({ params }) => {
        if (
          registry.cancel(
            params.id,
            new CancelReason("operator", "the request was cancelled by DELETE /v1/requests"),
          )
        )
          return { id: params.id, cancelled: true }
        throw new ApiError("NOT_FOUND", `no request "${params.id}" is waiting or running`, {
          param: "id",
        })
      },
      { detail: { summary: "Cancel a request", tags: ["server"] } },
    )
    .get("/v1/stats", () => statistics.toJson(gauges()), {
      detail: { summary: "Counters as JSON", tags: ["server"] },
    })
    .get(
      "/metrics",
      () =>
        new Response(statistics.toPrometheus(gauges()), {
          headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
        }),
      { detail: { summary: "Counters as Prometheus text", tags: ["server"] } },
    )
}
