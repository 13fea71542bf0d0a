import type { CacheReport } from "@ds4/engine"
import type { OutputEvent } from "../parser/events.ts"
import type { AssistantMessage } from "../template/conversation.ts"

/**
 * Reason for which an answer ended. `stop`: the model ended it; `context`: the session is full;
 * `repetition`: it repeated itself.
 */
export type FinishReason =
  | "stop"
  | "stop-string"
  | "length"
  | "context"
  | "tool-calls"
  | "repetition"
  | "cancelled"

/** Token counts and times of one answer. */
export interface AnswerUsage {
  readonly promptTokens: number
  /** Tokens of the prompt that a session already held. */
  readonly cachedTokens: number
  /** Sampled tokens, those of reasoning included. */
  readonly completionTokens: number
  readonly reasoningTokens: number
  readonly prefillMs: number
  readonly decodeMs: number
  /** Where the prompt went on from and left what was known; with the finish event. */
  readonly cache?: CacheReport
}

export interface TokenLogprob {
  /** Text of the token; bytes that are no whole character are replaced. */
  readonly token: string
  readonly bytes: readonly number[]
  /** Log-softmax of the raw logits. */
  readonly logprob: number
}

export interface SampledLogprob extends TokenLogprob {
  /** Likeliest alternatives, the likeliest first. */
  readonly top: readonly TokenLogprob[]
}

/** Tokens of the prompt that have been processed; the first event of every answer. */
interface ProgressEvent {
  readonly type: "progress"
  /** Counts cached tokens too. */
  readonly processedTokens: number
  readonly promptTokens: number
  readonly cachedTokens: number
}

/** Logprobs of tokens that were sampled since the last event of this kind. */
export interface LogprobsEvent {
  readonly type: "logprobs"
  /** Part of the answer that the tokens belong to. Tool calls count as text. */
  readonly part: "reasoning" | "text"
  readonly tokens: readonly SampledLogprob[]
}

/** The last event of every answer. */
export interface FinishEvent {
  readonly type: "finish"
  readonly reason: FinishReason
  /** The text that ended the answer, with reason "stop-string". */
  readonly stopString: string | undefined
  /** A sentence about the end, for people: what was repeated, with reason "repetition". */
  readonly detail?: string | undefined
  /** Sentences about tool calls that could not be read; for a log. */
  readonly warnings?: readonly string[]
  readonly usage: AnswerUsage
  /** The answer as a message, ready to be appended to the conversation. */
  readonly message: AssistantMessage
}

export type AnswerEvent = ProgressEvent | OutputEvent | LogprobsEvent | FinishEvent
