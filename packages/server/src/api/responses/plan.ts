// POST /v1/responses: body to prompt, plan and writers.
import { responsesRequest } from "@ds4/chat"
import type { PreparedAnswer } from "../../serving/answer-run.ts"
import type { ServedModel } from "../../serving/serving-state.ts"
import { refuseUnsupported } from "../../fields/refuse-unsupported.ts"
import { continuationOf, type Shelf } from "./continuation.ts"
import { isStored, keeperOf } from "./keep-answer.ts"
import { RESPONSES_FIELDS, type ResponsesRequest } from "./schema.ts"
import { type ResponseIdentity, ResponseStreamWriter } from "./writer.ts"
import { randomId } from "../../answer/random-id.ts"
import type { ToolNames } from "./items.ts"
import {
  resolveModelName,
  resolveThinking,
  samplingOf,
  stopStringsOf,
  toolsAllowed,
} from "../../answer/policy.ts"
import { chatPlan, type PrepareContext, renderPrompt, sessionHintOf } from "../../answer/prompt.ts"

/** Who asks, and by which headers. */
interface Caller {
  headers: Headers
  shelf: Shelf
}

export async function prepareResponse(
  body: ResponsesRequest,
  { headers, shelf }: Caller,
  model: ServedModel,
  context: PrepareContext,
): Promise<PreparedAnswer> {
  refuseUnsupported(RESPONSES_FIELDS, body)
  const name = resolveModelName(body.model, model, context.defaults)
  const continuation = await continuationOf(body, shelf)
  const { tools, ...withoutTools } = body
  const read = responsesRequest(
    {
      ...withoutTools,
      ...(toolsAllowed(body.tool_choice) ? { tools } : {}),
      input: continuation.input.map(({ item }) => item),
    },
    { profile: context.defaults.template, history: continuation.history },
  )
  const thinking = resolveThinking(body, context.defaults)
  const prompt = await renderPrompt(read, thinking, model, context)
  const plan = chatPlan(
    prompt,
    {
      thinking,
      allowParallelCalls: body.parallel_tool_calls !== false,
      stopStrings: stopStringsOf(body.stop),
      callIdPrefix: "call_",
      requestedTokens: body.max_output_tokens ?? body.max_tokens,
      promptField: { param: "input", shape: "openai" },
      sampling: samplingOf(body),
      topLogprobs: undefined,
      sessionHint: sessionHintOf(body, headers),
    },
    model,
    context.defaults,
  )
  const store = isStored(body.store, continuation, shelf)
  const identity = identityOf({ ...body, store }, name, read.toolNames, context)
  const writer = new ResponseStreamWriter(identity)
  return {
    id: identity.id,
    plan,
    warnings: read.warnings,
    stream: body.stream === true ? writer : undefined,
    whole: (answer, outcome) => writer.wholeOf(answer, outcome),
    ...(store ? { keep: keeperOf(continuation, shelf, identity, writer) } : {}),
  }
}

function identityOf(
  body: ResponsesRequest,
  model: string,
  tools: ToolNames,
  context: PrepareContext,
): ResponseIdentity {
  return {
    id: randomId("resp_"),
    created: context.now(),
    model,
    tools,
    reasoning: {
      showSummary: body.reasoning?.summary !== undefined && body.reasoning.summary !== null,
      includeEncrypted: body.include?.includes("reasoning.encrypted_content") === true,
    },
    echo: {
      instructions: body.instructions ?? null,
      max_output_tokens: body.max_output_tokens ?? null,
      metadata: body.metadata ?? {},
      parallel_tool_calls: body.parallel_tool_calls ?? true,
      previous_response_id: body.previous_response_id ?? null,
      reasoning: {
        effort: body.reasoning?.effort ?? null,
        summary: body.reasoning?.summary ?? null,
      },
      store: body.store === true,
      temperature: body.temperature ?? null,
      text: { format: { type: "text" } },
      tool_choice: body.tool_choice ?? "auto",
      tools: body.tools ?? [],
      top_p: body.top_p ?? null,
      truncation: "disabled",
    },
  }
}
