// Reads the request fields that endpoints share: thinking, limits, sampling, refusals. Pure
// functions.
import {
  ContextOverflowError,
  outputLimit as limitOf,
  parseEffort,
  type ThinkingLevel,
} from "@ds4/chat"
import type { SamplingOptions } from "@ds4/engine"
import { ApiError, contextOverflow, type ErrorShape, invalid } from "../http/api-error.ts"
import type { ServedModel } from "../serving/serving-state.ts"
import type { SamplingFields, UnsupportedFields } from "./request-fields.ts"
import type { AnswerDefaults } from "../settings.ts"

export interface Thinking {
  level: ThinkingLevel
  /** Reasoning is closed after this many tokens. */
  budget: number | undefined
}

/** The fields by which a client may ask for thinking or for none. */
interface ThinkingFields {
  /** `thinking`, `think`, `chat_template_kwargs.*`: true, false or an object with a type. */
  switches: readonly (
    | boolean
    | { type?: string | null; budget_tokens?: number | null }
    | null
    | undefined
  )[]
  /** The first one given counts. */
  efforts: readonly (string | null | undefined)[]
  model: string | null | undefined
}

/**
 * Precedence: an explicit off, then the effort (none is off), an explicit on, the model's name, the
 * default.
 */
export function resolveThinking(fields: ThinkingFields, defaults: AnswerDefaults): Thinking {
  const given = fields.switches.filter((value) => value !== null && value !== undefined)
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
  const word = fields.efforts.find((value) => value !== null && value !== undefined)
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

/** Refuses known fields whose value asks for something this server does not do. */
export function checkUnsupported(fields: UnsupportedFields & { response_format?: unknown }): void {
  if (typeof fields.n === "number" && fields.n !== 1)
    throw invalid(
      `n is ${fields.n}; only 1 is supported, send the request again for another answer`,
      "n",
    )
  const bias = fields.logit_bias
  if (bias !== undefined && bias !== null && Object.keys(bias).length > 0)
    throw invalid("logit_bias is not supported; leave it out", "logit_bias")
  checkNeutral("frequency_penalty", fields.frequency_penalty, 0)
  checkNeutral("presence_penalty", fields.presence_penalty, 0)
  checkNeutral("repetition_penalty", fields.repetition_penalty, 1)
  checkFormat(fields.response_format, "response_format")
}

function checkNeutral(name: string, value: number | null | undefined, neutral: number): void {
  if (value === undefined || value === null || value === neutral) return
  throw invalid(
    `${name} is ${value}; penalties are not supported, send ${neutral} or leave it out`,
    name,
  )
}

/** Only free text can be produced; JSON modes need constrained decoding. */
export function checkFormat(format: unknown, param: string): void {
  if (format === undefined || format === null) return
  const type = typeof format === "object" && "type" in format ? format.type : format
  if (type === "text") return
  throw invalid(
    `${param} of type ${JSON.stringify(type)} is not supported until constrained decoding ` +
      `exists; use "text"`,
    param,
  )
}

/**
 * OpenAI's tool_choice: "none" removes the tools, "auto" and nothing keep them, the rest is
 * refused.
 */
export function toolsAllowed(choice: unknown): boolean {
  const word =
    typeof choice === "object" && choice !== null && "type" in choice ? choice.type : choice
  if (word === undefined || word === null || word === "auto") return true
  if (word === "none") return false
  throw invalid(
    `tool_choice ${JSON.stringify(choice)} is not supported until constrained decoding exists; ` +
      `use "auto" or "none"`,
    "tool_choice",
  )
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
