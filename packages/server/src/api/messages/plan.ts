// POST /v1/messages: body to prompt, plan and writers.
import { anthropicRequest, type ReadRequest } from "@ds4/chat"
import type { PreparedAnswer } from "../../serving/answer-run.ts"
import type { ServedModel } from "../../serving/serving-state.ts"
import { refuseUnsupported } from "../../fields/refuse-unsupported.ts"
import { MESSAGES_FIELDS, type MessagesRequest } from "./schema.ts"
import type { AnswerDefaults } from "../../settings.ts"
import { anthropicMessage, MessageStreamWriter } from "./writer.ts"
import { randomId } from "../../answer/random-id.ts"
import {
  resolveModelName,
  resolveThinking,
  samplingOf,
  stopStringsOf,
  type Thinking,
  toolsAllowed,
} from "../../answer/policy.ts"
import { chatPlan, type PrepareContext, renderPrompt } from "../../answer/prompt.ts"

interface ReadMessages {
  read: ReadRequest
  thinking: Thinking
}

function readMessages(body: MessagesRequest, defaults: AnswerDefaults): ReadMessages {
  refuseUnsupported(MESSAGES_FIELDS, body)
  const { tools: _dropped, ...withoutTools } = body
  const read = anthropicRequest(toolsAllowed(body.tool_choice) ? body : withoutTools, {
    profile: defaults.template,
  })
  const thinking = resolveThinking(body, defaults)
  return { read, thinking }
}

/** Tokens of the prompt that a body becomes. */
export async function countPromptTokens(
  body: MessagesRequest,
  model: ServedModel,
  context: PrepareContext,
): Promise<number> {
  const { read, thinking } = readMessages(body, context.defaults)
  return (await renderPrompt(read, thinking, model, context)).tokens.length
}

export async function prepareMessages(
  body: MessagesRequest,
  model: ServedModel,
  context: PrepareContext,
): Promise<PreparedAnswer> {
  const name = resolveModelName(body.model, model, context.defaults)
  const { read, thinking } = readMessages(body, context.defaults)
  const prompt = await renderPrompt(read, thinking, model, context)
  const plan = chatPlan(
    prompt,
    {
      thinking,
      allowParallelCalls: body.tool_choice?.disable_parallel_tool_use !== true,
      stopStrings: stopStringsOf(body.stop_sequences),
      callIdPrefix: "toolu_",
      requestedTokens: body.max_tokens,
      promptField: { param: "messages", shape: "anthropic" },
      sampling: samplingOf(body),
      topLogprobs: undefined,
      sessionHint: body.metadata?.user_id ?? undefined,
    },
    model,
    context.defaults,
  )
  const identity = { id: randomId("msg_"), model: name }
  return {
    id: identity.id,
    plan,
    warnings: read.warnings,
    stream: body.stream === true ? new MessageStreamWriter(identity) : undefined,
    whole: (answer, outcome) => anthropicMessage(identity, answer, outcome),
  }
}
