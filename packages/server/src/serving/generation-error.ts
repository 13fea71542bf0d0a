import { EngineError } from "@ds4/engine"
import { ApiError } from "../http/api-error.ts"
import { CancelReason } from "./request-registry.ts"

/** The error of a cancelled request. */
export function cancelError(reason: unknown): ApiError {
  if (reason instanceof CancelReason && reason.by === "client")
    return new ApiError("CLIENT_GONE", reason.message)
  const isOperator = reason instanceof CancelReason && reason.by === "operator"
  return new ApiError(
    isOperator ? "CANCELLED_BY_OPERATOR" : "CANCELLED",
    reason instanceof Error ? reason.message : "the request was cancelled",
    { reason: "cancelled" },
  )
}

/** The error that a client reads when the engine fails. */
export function engineFailure(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  const message = error instanceof Error ? error.message : String(error)
  switch (error instanceof EngineError ? error.code : undefined) {
    case "BUSY":
      return new ApiError("RATE_LIMITED", message, {
        reason: "queue_full",
        headers: { "retry-after": "5" },
        cause: error,
      })
    case "ARGUMENT":
      return new ApiError("INVALID_REQUEST", message, { cause: error })
    case "CONTEXT_FULL":
      return new ApiError("CONTEXT_LENGTH", message, {
        reason: "context_length_exceeded",
        cause: error,
      })
    case "CANCELLED":
      return new ApiError("CANCELLED", message, { reason: "cancelled", cause: error })
    default:
      return new ApiError("INTERNAL", message, { cause: error })
  }
}
