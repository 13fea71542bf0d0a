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
  /** The engine has ended the answer; frames of it may still be on their way. */
  isComplete: boolean
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

/** Ids of ended requests that are told from unknown ones. */
const REMEMBERED_IDS = 2000

export class RequestRegistry {
  private readonly active = new Map<string, ActiveRequest>()
  private readonly ended = new Set<string>()
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
      isComplete: false,
      controller: new AbortController(),
    }
    this.active.set(id, request)
    return request
  }

  finish(request: ActiveRequest): void {
    request.phase = "ended"
    this.remember(request)
    if (!this.active.delete(request.id) || this.active.size > 0) return
    for (const wake of this.idleWaiters.splice(0)) wake()
  }

  /** Cancels by request id or answer id. A request that is complete has nothing to cancel. */
  cancel(id: string, reason: CancelReason): "cancelled" | "complete" | "unknown" {
    const request = this.active.get(id) ?? this.list().find((each) => each.answerId === id)
    if (request === undefined) return this.ended.has(id) ? "complete" : "unknown"
    if (request.isComplete) return "complete"
    request.controller.abort(reason)
    return "cancelled"
  }

  /** Keeps the ids of the last requests that ended. */
  private remember({ id, answerId }: ActiveRequest): void {
    for (const each of [id, answerId]) if (each !== undefined) this.ended.add(each)
    for (const oldest of this.ended) {
      if (this.ended.size <= REMEMBERED_IDS) break
      this.ended.delete(oldest)
    }
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
