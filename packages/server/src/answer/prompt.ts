// Makes a prompt and an answer plan of a conversation, for the chat-like endpoints.
import type { Prompt, ReadRequest } from "@ds4/chat"
import type { SamplingOptions } from "@ds4/engine"
import type { ErrorShape } from "../http/api-error.ts"
import type { GenerationPlan } from "../serving/generation.ts"
import type { ServedModel } from "../serving/serving-state.ts"
import type { AnswerDefaults } from "../settings.ts"
import { outputLimit, type Thinking } from "./policy.ts"
import { randomId } from "./random-id.ts"

/** The things that every endpoint needs besides its body and the model. */
export interface PrepareContext {
  defaults: AnswerDefaults
  /** Unix seconds, for `created` fields. */
  now: () => number
}

export async function renderPrompt(
  { conversation, continueFinal, addGenerationPrompt }: ReadRequest,
  { level }: Thinking,
  { chat }: ServedModel,
  { defaults }: PrepareContext,
): Promise<Prompt> {
  return await chat.prompt({
    ...conversation,
    thinking: level,
    profile: defaults.template,
    continueFinal,
    addGenerationPrompt,
  })
}

/** The parts of a plan that differ between endpoints. */
interface ChatPlanParts {
  thinking: Thinking
  allowParallelCalls: boolean
  stopStrings: readonly string[]
  callIdPrefix: "call_" | "toolu_"
  requestedTokens: number | null | undefined
  /** The field named when the prompt does not fit. */
  promptField: { param: string; shape: ErrorShape }
  sampling: SamplingOptions
  topLogprobs: number | undefined
  sessionHint: string | undefined
}

export function chatPlan(
  prompt: Prompt,
  parts: ChatPlanParts,
  model: ServedModel,
  defaults: AnswerDefaults,
): GenerationPlan {
  const { thinking, callIdPrefix, requestedTokens, promptField, ...options } = parts
  const promptTokens = prompt.tokens.length
  return {
    prompt,
    options: {
      ...options,
      maxTokens: outputLimit(promptTokens, requestedTokens, model, defaults, promptField),
      reasoningBudget: thinking.budget,
      greedyToolSyntax: defaults.toolZones,
      strictTools: defaults.strictTools,
      loopGuard: defaults.loopGuard,
      keepReasoning: defaults.keepsReasoning,
      newCallId: () => randomId(callIdPrefix),
    },
  }
}

/** The name of a request's conversation: prompt_cache_key, else a session header, else the user. */
export function sessionHintOf(
  fields: {
    prompt_cache_key?: string | null
    user?: string | null
    safety_identifier?: string | null
  },
  headers: Headers,
): string | undefined {
  return (
    fields.prompt_cache_key ??
    headers.get("session_id") ??
    fields.safety_identifier ??
    fields.user ??
    undefined
  )
}
