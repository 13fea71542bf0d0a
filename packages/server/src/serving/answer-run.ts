import type { Outcome } from "../answer/outcome.ts"
import type { StreamWriter } from "../answer/stream-writer.ts"
import type { Transcript } from "../answer/transcript.ts"
import type { RequestContext } from "../http/request-context.ts"
import type { Generation, GenerationPlan } from "./generation.ts"
import type { ActiveRequest } from "./request-registry.ts"

/** A body that an endpoint has read: the engine's plan and the two ways to answer. */
export interface PreparedAnswer {
  /** The answer's own id, such as "chatcmpl-…". */
  id: string
  plan: GenerationPlan
  stream: StreamWriter | undefined
  whole(
    answer: Transcript,
    outcome: Outcome,
  ): Record<string, unknown> | Promise<Record<string, unknown>>
  /**
   * Keeps the answer for later requests. It is called when the answer has ended, before the client
   * is told the end, and again when the request is settled.
   */
  keep?(failure: unknown): Promise<void>
  /** Parts of the request that were left out, for the log. */
  warnings?: readonly string[]
}

/** One generation request from its start in the engine to its end. */
export interface AnswerRun {
  /** The frame generator waits for its reader. */
  isParked: boolean
  context: RequestContext
  active: ActiveRequest
  generation: Generation
  prepared: PreparedAnswer
  transcript: Transcript
  isSettled: boolean
}
