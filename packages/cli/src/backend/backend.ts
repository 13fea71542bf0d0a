// One interface over a local engine and a remote server: chat and run know nothing else.
import type { Conversation } from "@ds4/chat"

/** "default": thinking with the effort that the checkpoint was made for. */
export type ThinkLevel = "default" | "off" | "low" | "high" | "max"

export interface AnswerSettings {
  readonly temperature: number
  readonly topP: number
  readonly topK: number
  readonly minP: number
  readonly seed: number | undefined
  readonly maxTokens: number | undefined
  readonly stop: readonly string[]
  readonly think: ThinkLevel
  readonly reasoningBudget: number | undefined
  /** Go on with the session that holds earlier thinking, which prompts leave out. */
  readonly keepsReasoning: boolean
}

/** What an interrupted or length-limited answer had produced, for going on. */
export interface PartialAnswer {
  readonly reasoning: string
  readonly content: string
}

export interface AnswerRequest {
  /** A conversation, or a prompt that is already rendered. */
  readonly prompt:
    | { readonly type: "conversation"; readonly conversation: Conversation }
    | { readonly type: "rendered"; readonly text: string }
  readonly settings: AnswerSettings
  /** Go on from here instead of starting a new answer. */
  readonly from?: PartialAnswer
  readonly signal?: AbortSignal
}

export interface AnswerUsage {
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly generatedTokens: number
  readonly prefillMs: number
  readonly decodeMs: number
}

export interface ToolCall {
  readonly id: string
  readonly name: string
  readonly arguments: string
}

export type FinishReason = "stop" | "length" | "context" | "tool_calls" | "cancelled"

export type AnswerEvent =
  | {
      readonly type: "prefill"
      readonly processed: number
      readonly total: number
      readonly cached: number
    }
  | { readonly type: "reasoning"; readonly text: string }
  | { readonly type: "content"; readonly text: string }
  | { readonly type: "tool-call"; readonly call: ToolCall }
  | { readonly type: "end"; readonly finish: FinishReason; readonly usage: AnswerUsage }

export interface BackendDescription {
  readonly model: string
  readonly contextTokens: number | undefined
  /** One line: where it runs and with what. */
  readonly where: string
}

export interface PromptView {
  readonly text: string
  readonly ids: readonly number[]
}

/** Something that answers conversations. */
export interface Backend {
  readonly description: BackendDescription
  /** Streams one answer; throws before the first event when the request is refused. */
  answer(request: AnswerRequest): AsyncIterable<AnswerEvent>
  /** The prompt a conversation becomes; undefined when only the server knows. */
  prompt(conversation: Conversation, think: ThinkLevel): PromptView | undefined
  close(): Promise<void>
}
