import type { SamplingOptions } from "@ds4/engine"
import type { Segment } from "@ds4/tokenizer"
import type { CallableTool } from "../parser/declared-tools.ts"
import type { PromptEnding } from "../template/render-options.ts"
import type { Conversation, Message } from "../template/conversation.ts"
import type { ThinkingLevel } from "../template/effort.ts"
import type { Profile } from "../template/tools-block.ts"

/** A conversation and the way in which its prompt is written. */
export interface PromptRequest extends Conversation, PromptEnding {
  /** Reasoning before the answer; "default" is the effort that the checkpoint was made for. */
  readonly thinking?: ThinkingLevel
  /** Chat template; default "reference". */
  readonly profile?: Profile
}

/** The way in which an answer is sampled, read and ended. */
export interface AnswerOptions {
  readonly sampling?: SamplingOptions
  /** Output limit in tokens; always capped at the room that the context leaves. */
  readonly maxTokens?: number
  /** Texts that end the answer and are no part of it; looked for after reasoning only. */
  readonly stopStrings?: readonly string[]
  /** Reasoning is closed after this many tokens. */
  readonly reasoningBudget?: number
  /** Asks for the logprob of every token and of so many alternatives, 0..20. */
  readonly topLogprobs?: number
  /** false: the answer ends after its first tool call. Default true. */
  readonly allowParallelCalls?: boolean
  /** Decode the syntax of tool calls greedily. Default true. */
  readonly greedyToolSyntax?: boolean
  /**
   * End an agent's answer that repeats itself: a text over and over, or a call for the third time
   * without a new result. Agents are conversations with tools. Default true.
   */
  readonly loopGuard?: boolean
  /** A tool call inside unclosed reasoning stays reasoning. Default false. */
  readonly strictTools?: boolean
  /**
   * Continue a session that holds earlier reasoning, although prompts without tools leave it out.
   * Default true.
   */
  readonly keepReasoning?: boolean
  /** Id of the next tool call; default "call_" and 32 random hex digits. */
  readonly newCallId?: () => string
  /** Requests of one conversation give the same hint: it decides between equal sessions. */
  readonly sessionHint?: string
  /** Look on disk too for what the prompt shares with earlier ones, for the usage's report. */
  readonly explainCache?: boolean
  /** Aborting ends the answer with reason "cancelled". */
  readonly signal?: AbortSignal
}

export interface AnswerRequest extends PromptRequest, AnswerOptions {}

/** Text and ids that the engine is given, and the facts that reading the answer needs. */
export interface Prompt {
  /** Rendered text; empty for a prompt of bare ids. */
  readonly segments: readonly Segment[]
  readonly tokens: readonly number[]
  /** The answer begins inside reasoning. */
  readonly isThinking: boolean
  /** Declared tools; without any, nothing is read as a call. */
  readonly tools: readonly CallableTool[]
  /** The conversation, for the loop guard: it compares calls with earlier ones. */
  readonly messages?: readonly Message[]
  /** The partial answer that is continued. */
  readonly continued?: { readonly reasoning: string; readonly content: string }
}
