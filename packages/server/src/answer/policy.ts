// Reads the request fields that endpoints share: thinking, limits, sampling, refusals. Pure
// functions.
import {
  ContextOverflowError,
  outputLimit as limitOf,
  parseEffort,
  type ThinkingLevel,
} from "@ds4/chat"
import type { SamplingOptions } from "@ds4/engine"
import { ApiError, contextOverflow, type ErrorShape } from "../http/api-error.ts"
import type { ServedModel } from "../serving/serving-state.ts"
import type { SamplingFields } from "../fields/shared-fields.ts"
import type { AnswerDefaults } from "../settings.ts"

export interface Thinking {
  level: ThinkingLevel
  /** Reasoning is closed after this many tokens. */
  budget: number | undefined
}

type Maybe<T> = T | null | undefined

/** The fields by which a client may ask for thinking or for none, in whatever API. */
interface ThinkingFields {
  thinking?: Maybe<boolean | { type?: Maybe<string>; budget_tokens?: Maybe<number> }>
  think?: Maybe<boolean>
  reasoning?: Maybe<{ effort?: Maybe<string>; enabled?: Maybe<boolean> }>
  reasoning_effort?: Maybe<string>
  output_config?: Maybe<{ effort?: Maybe<string> }>
  chat_template_kwargs?: Maybe<{
    enable_thinking?: Maybe<boolean>
    thinking?: Maybe<boolean>
    reasoning_effort?: Maybe<string>
  }>
  model?: Maybe<string>
}

/**
 * Precedence: an explicit off, then the effort (none is off), an explicit on, the model's name, the
 * default.
 */
export function resolveThinking(fields: ThinkingFields, defaults: AnswerDefaults): Thinking {
  const { thinking, think, reasoning, chat_template_kwargs: kwargs } = fields
  const switches = [thinking, think, kwargs?.enable_thinking, kwargs?.thinking, reasoning?.enabled]
  // The first one given counts.
  const efforts = [
    fields.output_config?.effort,
    fields.reasoning_effort,
    reasoning?.effort,
    kwargs?.reasoning_effort,
  ]
  const given = switches.filter((value) => value !== null && value !== undefined)
  const states = given.map((value) =>
    typeof value === "boolean"
      ? value
      : value.type === "disabled"
        ? false
        : value.type === undefined
          ? undefined
          : true,
  )
  const budgets = given.map((value) =>
    typeof value === "boolean" ? undefined : (value.budget_tokens ?? undefined),
  )
  const budget = budgets.find((value) => value !== undefined) ?? defaults.reasoningBudget
  const word = efforts.find((value) => value !== null && value !== undefined)
  const effort = typeof word === "string" ? parseEffort(word) : undefined
  if (states.includes(false) || effort === "none") return { level: "off", budget: undefined }
  if (effort !== undefined) return { level: effort, budget }
  const isThinking = states.includes(true) || (aliasThinking(fields.model) ?? defaults.isThinking)
  if (!isThinking) return { level: "off", budget: undefined }
  // A word that no table knows asks for reasoning in the checkpoint's own way.
  return { level: typeof word === "string" ? "default" : (defaults.effort ?? "default"), budget }
}

/** Two well-known names ask for a mode. */
function aliasThinking(model: string | null | undefined): boolean | undefined {
  if (model === "deepseek-chat") return false
  return model === "deepseek-reasoner" ? true : undefined
}

/**
 * The name echoed in the answer. With --strict-model other names than the served one are refused.
 */
export function resolveModelName(
  requested: string | null | undefined,
  model: ServedModel,
  defaults: AnswerDefaults,
): string {
  const name = requested ?? model.id
  const isKnown = name === model.id || name === "deepseek-chat" || name === "deepseek-reasoner"
  if (defaults.strictModel && !isKnown) {
    throw new ApiError("NOT_FOUND", `no model "${name}"; this server has "${model.id}"`, {
      param: "model",
      reason: "model_not_found",
    })
  }
  return name
}

/** "none" hides the tools from the model. */
export function toolsAllowed(choice: unknown): boolean {
  const word =
    typeof choice === "object" && choice !== null && "type" in choice ? choice.type : choice
  return word !== "none"
}

/** Sampling settings for the engine; absent and null fields keep the engine's defaults. */
export function samplingOf(fields: SamplingFields): SamplingOptions {
  const { temperature, top_p: topP, top_k: topK, min_p: minP, seed } = fields
  return {
    ...(isGiven(temperature) ? { temperature } : {}),
    ...(isGiven(topP) ? { topP } : {}),
    ...(isGiven(topK) ? { topK: Math.max(0, topK) } : {}),
    ...(isGiven(minP) ? { minP } : {}),
    ...(isGiven(seed) ? { seed: BigInt.asUintN(64, BigInt(seed)) } : {}),
  }
}

function isGiven<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined
}

export function stopStringsOf(stop: string | readonly string[] | null | undefined): string[] {
  if (stop === null || stop === undefined) return []
  return (typeof stop === "string" ? [stop] : [...stop]).filter((text) => text !== "")
}

/**
 * The output limit: the one asked for, at most --max-tokens and what the context has left. -1 asks
 * for no limit. Throws where the context is full.
 */
export function outputLimit(
  promptTokens: number,
  requested: number | null | undefined,
  model: ServedModel,
  defaults: AnswerDefaults,
  at: { param: string; shape: ErrorShape },
): number {
  try {
    const asked = requested === null || requested === -1 ? undefined : requested
    const limit = Math.min(asked ?? defaults.maxTokens, defaults.maxTokens)
    return limitOf(promptTokens, limit, model.chat.engine.model)
  } catch (error) {
    if (!(error instanceof ContextOverflowError)) throw error
    throw contextOverflow(error.promptTokens, error.room, at.param, at.shape)
  }
}
