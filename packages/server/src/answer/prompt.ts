// From a conversation to prompt tokens and an engine plan; shared by the chat-like endpoints.
import {
  type ReadRequest,
  renderChat,
  startsInThinking,
  thinkingLeftOut,
  type ToolReplay,
} from "@ds4/chat"
import { type Segment } from "@ds4/tokenizer"
import type { ErrorShape } from "../http/api-error.ts"
import type { GenerationPlan } from "../serving/generation.ts"
import { encodeInSlices } from "../serving/prompt-encoder.ts"
import type { ServedModel } from "../serving/serving-state.ts"
import type { AnswerDefaults } from "../settings.ts"
import { outputLimit, type Thinking } from "./policy.ts"

/** What every endpoint needs besides its body and the model. */
export interface PrepareContext {
  defaults: AnswerDefaults
  replay: ToolReplay
  /** Unix seconds, for `created` fields. */
  now: () => number
}

export interface RenderedPrompt {
  segments: readonly Segment[]
  tokens: number[]
  /**
   * The answer begins inside thinking; where it goes on from text it does not, whatever was asked
   * for.
   */
  isThinking: boolean
}

export async function renderPrompt(
  read: ReadRequest,
  thinking: Thinking,
  model: ServedModel,
  { defaults, replay }: PrepareContext,
): Promise<RenderedPrompt> {
  const segments = renderChat(read.conversation, {
    continueFinal: read.continueFinal,
    thinking: thinking.isThinking,
    profile: defaults.template,
    effortTable: model.effortTable,
    replay,
    ...(thinking.effort === undefined ? {} : { effort: thinking.effort }),
  })
  return {
    segments,
    tokens: await encodeInSlices(model, segments),
    isThinking: startsInThinking(segments),
  }
}

/** The parts of a plan that differ between endpoints. */
export interface ChatPlanParts {
  thinking: Thinking
  toolNames: readonly string[]
  allowParallelCalls: boolean
  stopStrings: readonly string[]
  callIdPrefix: GenerationPlan["callIdPrefix"]
  requestedTokens: number | null | undefined
  /** The field named when the prompt does not fit. */
  promptField: { param: string; shape: ErrorShape }
  sampling: GenerationPlan["engine"]["sampling"]
  topLogprobs: number | undefined
  sessionHint: string | undefined
}

export function chatPlan(
  prompt: RenderedPrompt,
  parts: ChatPlanParts,
  model: ServedModel,
  defaults: AnswerDefaults,
): GenerationPlan {
  const { thinking, toolNames } = parts
  const { tokens, isThinking } = prompt
  const hasTools = toolNames.length > 0
  const thinkClose = model.tokenizer.special.get("</think>")
  const shownAs =
    hasTools || !defaults.keepsReasoning
      ? undefined
      : thinkingLeftOut(tokens, model.tokenizer.special.get("<think>"), thinkClose)
  return {
    promptTokens: tokens,
    isThinking,
    toolNames,
    allowParallelCalls: parts.allowParallelCalls,
    strictTools: defaults.strictTools,
    stopStrings: parts.stopStrings,
    callIdPrefix: parts.callIdPrefix,
    maxTokens: outputLimit(
      tokens.length,
      parts.requestedTokens,
      model,
      defaults,
      parts.promptField,
    ),
    engine: {
      ...(parts.sampling === undefined ? {} : { sampling: parts.sampling }),
      ...(parts.topLogprobs === undefined
        ? {}
        : { logprobs: true, topLogprobs: parts.topLogprobs }),
      ...(hasTools && defaults.toolZones ? { toolZones: true } : {}),
      ...(isThinking && thinkClose !== undefined ? { thinkCloseToken: thinkClose } : {}),
      ...(isThinking && thinking.budget !== undefined ? { reasoningBudget: thinking.budget } : {}),
      ...(shownAs === undefined ? {} : { shownAs }),
      ...(parts.sessionHint === undefined ? {} : { sessionHint: parts.sessionHint }),
    },
  }
}

/**
 * What ties requests of one conversation together: prompt_cache_key, then a session header, then
 * the user.
 */
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
