// Knows whether the process loads, serves or drains. Routes ask; main.ts drives it.
import type { Chat } from "@ds4/chat"
import { ApiError } from "../http/api-error.ts"

export interface ServedModel {
  id: string
  chat: Chat
  /** Unix seconds shown by /v1/models. */
  created: number
  /** Names model, build and numeric mode. */
  fingerprint: string
}

type ServingStatus = "loading" | "ok" | "draining" | "failed"

export class ServingState {
  private current: ServingStatus = "loading"
  private served: ServedModel | undefined
  /** Share of loading that is done, 0..1. */
  progress = 0

  get status(): ServingStatus {
    return this.current
  }

  ready(model: ServedModel): void {
    this.served = model
    this.progress = 1
    if (this.current === "loading") this.current = "ok"
  }

  fail(): void {
    this.current = "failed"
  }

  drain(): void {
    this.current = "draining"
  }

  /** The loaded model, or undefined while loading. */
  get model(): ServedModel | undefined {
    return this.served
  }

  /** The model for a new request. Throws 503 while loading, draining or after a failed load. */
  require(): ServedModel {
    if (this.current === "ok" && this.served !== undefined) return this.served
    const headers = { "retry-after": "5" }
    if (this.current === "draining")
      throw new ApiError("UNAVAILABLE", "the server is shutting down", {
        reason: "draining",
        headers,
      })
    if (this.current === "failed")
      throw new ApiError(
        "UNAVAILABLE",
        "the model could not be loaded; the server's log says why",
        {
          reason: "load_failed",
        },
      )
    throw new ApiError(
      "UNAVAILABLE",
      `the model is loading (${Math.round(this.progress * 100)} %)`,
      { reason: "loading", headers },
    )
  }
}
