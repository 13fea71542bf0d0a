// POST /v1/chat/completions: body to prompt, plan and writers.
import { chatRequest, type Prompt, type ReadRequest } from "@ds4/chat"
import type { PreparedAnswer } from "../../serving/answer-run.ts"
import type { ServedModel } from "../../serving/serving-state.ts"
import { refuseUnsupported } from "../../fields/refuse-unsupported.ts"
import { CHAT_FIELDS, type ChatRequest } from "./schema.ts"
import type { AnswerDefaults } from "../../settings.ts"
import { chatCompletion, ChatStreamWriter } from "./writer.ts"
import type { CompletionIdentity } from "../../answer/openai-fields.ts"
import { randomId } from "../../answer/random-id.ts"
import { invalid } from "../../http/api-error.ts"
import {
  resolveModelName,
  resolveThinking,
  samplingOf,
  stopStringsOf,
  type Thinking,
  toolsAllowed,
} from "../../answer/policy.ts"
import { chatPlan, type PrepareContext, renderPrompt, sessionHintOf } from "../../answer/prompt.ts"

interface ReadChat {
  read: ReadRequest
  thinking: Thinking
}

function readChat(body: ChatRequest, defaults: AnswerDefaults): ReadChat {
  refuseUnsupported(CHAT_FIELDS, body)
  const { tools: _dropped, ...withoutTools } = body
  const read = chatRequest(toolsAllowed(body.tool_choice) ? body : withoutTools, {
    profile: defaults.template,
  })
  const thinking = resolveThinking(body, defaults)
  return { read, thinking }
}

/** The prompt that a chat body becomes, for /apply-template. */
export async function renderChatBody(
  body: ChatRequest,
  model: ServedModel,
  context: PrepareContext,
): Promise<Prompt> {
  const { read, thinking } = readChat(body, context.defaults)
  return renderPrompt(read, thinking, model, context)
}

export async function prepareChat(
  body: ChatRequest,
  headers: Headers,
  model: ServedModel,
  context: PrepareContext,
): Promise<PreparedAnswer> {
  const name = resolveModelName(body.model, model, context.defaults)
  const topLogprobs = readLogprobs(body)
  const { read, thinking } = readChat(body, context.defaults)
  const prompt = await renderPrompt(read, thinking, model, context)
  const plan = chatPlan(
    prompt,
    {
      thinking,
      allowParallelCalls: body.parallel_tool_calls !== false,
      stopStrings: stopStringsOf(body.stop),
      callIdPrefix: "call_",
      requestedTokens: body.max_completion_tokens ?? body.max_tokens,
      promptField: { param: "messages", shape: "openai" },
      sampling: samplingOf(body),
      topLogprobs,
      sessionHint: sessionHintOf(body, headers),
    },
    model,
    context.defaults,
  )
  const identity = {
    id: randomId("chatcmpl-"),
    created: context.now(),
    model: name,
    fingerprint: model.fingerprint,
  }
  const logprobs = topLogprobs !== undefined
  return {
    id: identity.id,
    plan,
    warnings: read.warnings,
    stream: body.stream === true ? streamWriter(identity, body, logprobs) : undefined,
    whole: (answer, outcome) => chatCompletion(identity, answer, outcome, logprobs),
  }
}

function streamWriter(
  identity: CompletionIdentity,
  { stream_options: options }: ChatRequest,
  logprobs: boolean,
): ChatStreamWriter {
  return new ChatStreamWriter(identity, {
    includeUsage: options?.include_usage === true,
    includeProgress: options?.include_progress === true,
    logprobs,
  })
}

/** How many alternatives to report, or undefined for no logprobs at all. */
function readLogprobs(body: ChatRequest): number | undefined {
  const top = body.top_logprobs ?? undefined
  if (body.logprobs === true) return top ?? 0
  if (top !== undefined && top > 0)
    throw invalid(`top_logprobs is ${top}; it needs logprobs: true`, "top_logprobs")
  return undefined
}
