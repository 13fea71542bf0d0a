import { Elysia } from "elysia"
import { ApiError } from "../../http/api-error.ts"
import {
  type ActiveRequest,
  CancelReason,
  type RequestRegistry,
} from "../../serving/request-registry.ts"

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
  const tags = ["server"]
  return new Elysia({ name: "api/requests" })
    .get("/v1/requests", () => ({ object: "list", data: registry.list().map(describe) }), {
      detail: { summary: "Waiting and running requests", tags },
    })
    .delete("/v1/requests/:id", cancel, { detail: { summary: "Cancel a request", tags } })
}
