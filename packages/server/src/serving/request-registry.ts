// Every generation request from admission to its end: bound of the queue, abort signals, drain.
import { ApiError } from "../http/api-error.ts"

type RequestPhase = "waiting" | "prefill" | "decode" | "ended"

export interface ActiveRequest {
  readonly id: string
  readonly endpoint: string
  readonly model: string
  readonly acceptedAtMs: number
  /** The id that the client sees in the answer, once it is known. */
  answerId: string | undefined
  phase: RequestPhase
  promptTokens: number
  processedTokens: number
  outputTokens: number
  readonly controller: AbortController
}

export interface AdmissionLimits {
  /** Requests that may run at once. */
  parallel: number
  /** Requests that may wait besides; one more is refused with 429. */
  maxQueue: number
}

type CancelCause = "client" | "operator" | "stalled" | "shutdown"

/** Why a request was cancelled; it is the `reason` of its abort signal. */
export class CancelReason extends Error {
  override readonly name = "CancelReason"
  constructor(
    readonly by: CancelCause,
    message: string,
  ) {
    super(message)
  }
}

export class RequestRegistry {
  private readonly active = new Map<string, ActiveRequest>()
  private idleWaiters: (() => void)[] = []

  constructor(private readonly limits: AdmissionLimits) {}

  /** Takes a place or throws 429. The caller must call `finish` once. */
  admit(id: string, endpoint: string, model: string): ActiveRequest {
    const { parallel, maxQueue } = this.limits
    if (this.active.size >= parallel + maxQueue) {
      throw new ApiError(
        "RATE_LIMITED",
        `the queue is full: ${parallel} running and ${maxQueue} waiting requests; try again later`,
        {
          reason: "queue_full",
          headers: { "retry-after": "5" },
        },
      )
    }
    const request: ActiveRequest = {
      id,
      endpoint,
      model,
      acceptedAtMs: Date.now(),
      answerId: undefined,
      phase: "waiting",
      promptTokens: 0,
      processedTokens: 0,
      outputTokens: 0,
      controller: new AbortController(),
    }
    this.active.set(id, request)
    return request
  }

  finish(request: ActiveRequest): void {
    request.phase = "ended"
    if (!this.active.delete(request.id) || this.active.size > 0) return
    for (const wake of this.idleWaiters.splice(0)) wake()
  }

  /** Cancels by request id or answer id; false if there is no such request. */
  cancel(id: string, reason: CancelReason): boolean {
    const request = this.active.get(id) ?? this.list().find((each) => each.answerId === id)
    request?.controller.abort(reason)
    return request !== undefined
  }

  cancelAll(reason: CancelReason): void {
    for (const request of this.active.values()) request.controller.abort(reason)
  }

  list(): readonly ActiveRequest[] {
    return [...this.active.values()]
  }

  get size(): number {
    return this.active.size
  }

  /** Requests of those active that wait for a session, in order of arrival. */
  queuePosition(request: ActiveRequest): number {
    let ahead = 0
    for (const other of this.active.values()) {
      if (other === request) break
      if (other.phase === "waiting") ahead++
    }
    return ahead
  }

  /** Resolves true when nothing is active, false after `timeoutMs`. */
  async idle(timeoutMs: number): Promise<boolean> {
    if (this.active.size === 0) return true
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => resolve(false), timeoutMs)
    this.idleWaiters.push(() => resolve(true))
    const isIdle = await promise
    clearTimeout(timer)
    return isIdle
  }
}
