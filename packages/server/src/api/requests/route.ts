import { Elysia } from "elysia"
import { Type } from "@sinclair/typebox"
import { operation } from "../../openapi/operation.ts"
import { ApiError } from "../../http/api-error.ts"
import {
  type ActiveRequest,
  CancelReason,
  type RequestRegistry,
} from "../../serving/request-registry.ts"

const ActiveList = Type.Object({
  object: Type.Literal("list"),
  data: Type.Array(
    Type.Object({
      id: Type.String(),
      endpoint: Type.String(),
      model: Type.String(),
      phase: Type.String({ description: "waiting, prefill or decode" }),
      age_ms: Type.Number(),
      queue_position: Type.Union([Type.Integer(), Type.Null()]),
      prompt_tokens: Type.Integer(),
      processed_tokens: Type.Integer(),
      output_tokens: Type.Integer(),
    }),
  ),
})
const Cancelled = Type.Object({ id: Type.String(), cancelled: Type.Literal(true) })

/** The generation requests that wait or run, and the way to cancel one. */
export const requests = (registry: RequestRegistry) => {
  const describe = (active: ActiveRequest) => ({
    id: active.id,
    endpoint: active.endpoint,
    model: active.model,
    phase: active.phase,
    age_ms: Date.now() - active.acceptedAtMs,
    queue_position: active.phase === "waiting" ? registry.queuePosition(active) : null,
    prompt_tokens: active.promptTokens,
    processed_tokens: active.processedTokens,
    output_tokens: active.outputTokens,
  })
  const cancel = ({ params: { id } }: { params: { id: string } }) => {
    const reason = new CancelReason("operator", "the request was cancelled by DELETE /v1/requests")
    const found = registry.cancel(id, reason)
    if (found === "cancelled") return { id, cancelled: true }
    throw found === "complete"
      ? new ApiError("NOT_FOUND", `request "${id}" is complete; there is nothing to cancel`, {
          param: "id",
          reason: "request_complete",
        })
      : new ApiError("NOT_FOUND", `no request "${id}" is waiting or running`, {
          param: "id",
          reason: "request_not_found",
        })
  }
  return new Elysia({ name: "api/requests" })
    .get("/v1/requests", () => ({ object: "list", data: registry.list().map(describe) }), {
      detail: operation({
        summary: "Waiting and running requests",
        tag: "server",
        answer: ActiveList,
      }),
    })
    .delete("/v1/requests/:id", cancel, {
      detail: operation({
        summary: "Cancel a request",
        description: "404 for a request that is complete: there is nothing to cancel.",
        tag: "server",
        answer: Cancelled,
        failures: [404],
        id: {
          description: "the x-request-id of the request, or the id of its answer",
          example: `req_${"0".repeat(32)}`,
        },
      }),
    })
}
