import type {
  AnswerEvent,
  AnswerRequest,
  AnswerUsage,
  Backend,
  FinishReason,
  ToolCall,
} from "../backend/backend.ts"
import { rate } from "../chat/stats-line.ts"

export type RunRequest = Pick<AnswerRequest, "prompt" | "settings" | "signal">

export interface CollectedAnswer {
  readonly content: string
  readonly reasoning: string
  readonly toolCalls: readonly ToolCall[]
  readonly finish: FinishReason
  readonly usage: AnswerUsage | undefined
  readonly firstTokenMs: number | undefined
}

/** A one-turn prompt; a rendered one goes to the model as it is. */
export function promptOf(
  text: string,
  system: string | undefined,
  isRendered: boolean,
): AnswerRequest["prompt"] {
  if (isRendered) return { type: "rendered", text }
  const first =
    system === undefined || system === "" ? [] : [{ role: "system", content: system } as const]
  return {
    type: "conversation",
    conversation: { messages: [...first, { role: "user", content: text }] },
  }
}

function usageJson(usage: AnswerUsage | undefined): Record<string, number> {
  return {
    prompt_tokens: usage?.promptTokens ?? 0,
    cached_tokens: usage?.cachedTokens ?? 0,
    completion_tokens: usage?.generatedTokens ?? 0,
  }
}

function timingsJson({ usage, firstTokenMs }: CollectedAnswer): Record<string, number | null> {
  const prefilled = usage === undefined ? 0 : usage.promptTokens - usage.cachedTokens
  return {
    first_token_ms: firstTokenMs ?? null,
    prefill_ms: usage?.prefillMs ?? null,
    decode_ms: usage?.decodeMs ?? null,
    prefill_tokens_per_second: rate(prefilled, usage?.prefillMs ?? 0) ?? null,
    decode_tokens_per_second: rate(usage?.generatedTokens ?? 0, usage?.decodeMs ?? 0) ?? null,
  }
}

/** What `run --json` and the batch print. */
export function resultJson(backend: Backend, answer: CollectedAnswer): Record<string, unknown> {
  return {
    model: backend.description.model,
    content: answer.content,
    reasoning: answer.reasoning,
    tool_calls: answer.toolCalls,
    finish_reason: answer.finish,
    usage: usageJson(answer.usage),
    timings: timingsJson(answer),
  }
}

function streamEvent(event: AnswerEvent): Record<string, unknown> | undefined {
  if (event.type === "reasoning" || event.type === "content")
    return { type: event.type, text: event.text }
  if (event.type === "tool-call") return { type: "tool_call", ...event.call }
  if (event.type === "end")
    return { type: "done", finish_reason: event.finish, usage: usageJson(event.usage) }
  return undefined
}

/** Runs one answer to its end; `emit` gets the events of --stream-json as they come. */
export async function collectAnswer(
  backend: Backend,
  request: RunRequest,
  emit?: (event: Record<string, unknown>) => void,
): Promise<CollectedAnswer> {
  const startMs = performance.now()
  const answer = { content: "", reasoning: "", toolCalls: [] as ToolCall[] }
  let finish: FinishReason = "cancelled"
  let usage: AnswerUsage | undefined
  let firstTokenMs: number | undefined
  for await (const event of backend.answer(request)) {
    if (event.type === "content" || event.type === "reasoning") {
      firstTokenMs ??= performance.now() - startMs
      answer[event.type] += event.text
    } else if (event.type === "tool-call") answer.toolCalls.push(event.call)
    else if (event.type === "end") ({ finish, usage } = event)
    const streamed = streamEvent(event)
    if (streamed !== undefined) emit?.(streamed)
  }
  return { ...answer, finish, usage, firstTokenMs }
}
