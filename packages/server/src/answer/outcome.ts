import type { AnswerUsage, FinishEvent } from "@ds4/chat"
import type { CacheExplanation } from "./cache-explanation.ts"

type Finish = "stop" | "stop-string" | "length" | "tool-calls"

/**
 * The finish that clients are told. To them a full context and a repetition are length limits:
 * the answer is not complete. Calls before a repetition are to be run.
 */
export function finishOf(end: Pick<FinishEvent, "reason" | "message"> | undefined): Finish {
  if (end === undefined) return "stop"
  switch (end.reason) {
    case "cancelled":
      return "stop"
    case "context":
      return "length"
    case "repetition":
      return (end.message.toolCalls ?? []).length > 0 ? "tool-calls" : "length"
    default:
      return end.reason
  }
}

/** Why an answer ended where its finish does not say it. */
interface FinishDetail {
  type: "repetition"
  /** A sentence for people. */
  message: string
}

export function detailOf(end: Pick<FinishEvent, "reason" | "detail"> | undefined) {
  if (end?.reason !== "repetition") return undefined
  const detail: FinishDetail = { type: "repetition", message: end.detail ?? "" }
  return detail
}

/** Token counts of one request. Prompt = cached + computed now; completion includes reasoning. */
type TokenUsage = Omit<AnswerUsage, "prefillMs" | "decodeMs" | "cache">

export interface Outcome {
  finish: Finish
  /** The string that ended the answer, with finish "stop-string". */
  stopString: string | undefined
  detail?: FinishDetail | undefined
  /** Sentences about tool calls that could not be read; for the log. */
  warnings?: readonly string[]
  usage: TokenUsage
  /** For clients that ask for it. */
  cache?: CacheExplanation | undefined
  prefillMs: number
  decodeMs: number
}

/** The counts that are known when the stream opens: before prefill, after planning. */
export interface OpeningUsage {
  promptTokens: number
  cachedTokens: number
}
