import type { AnswerUsage, FinishReason } from "@ds4/chat"

type Finish = "stop" | "stop-string" | "length" | "tool-calls"

/** The finish that clients are told: a full context is a length limit to them. */
export function finishOf(reason: FinishReason): Finish {
  if (reason === "context") return "length"
  return reason === "cancelled" ? "stop" : reason
}

/** Token counts of one request. Prompt = cached + computed now; completion includes reasoning. */
type TokenUsage = Omit<AnswerUsage, "prefillMs" | "decodeMs">

export interface Outcome {
  finish: Finish
  /** The string that ended the answer, with finish "stop-string". */
  stopString: string | undefined
  usage: TokenUsage
  prefillMs: number
  decodeMs: number
}

/** The counts that are known when the stream opens: before prefill, after planning. */
export interface OpeningUsage {
  promptTokens: number
  cachedTokens: number
}
