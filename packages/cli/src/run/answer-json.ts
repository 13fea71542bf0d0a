import type { AnswerEvent, AnswerUsage, FinishReason, ToolCall } from "@ds4/chat"
import type { Progress } from "@ds4/progress"
import { ask, type AnswerSettings, type Backend, type Question } from "../backend/backend.ts"
import { rate } from "../chat/stats-line.ts"

export interface RunRequest {
  readonly question: Question
  readonly settings: AnswerSettings
  readonly signal: AbortSignal
}

/** The word for a finish in JSON output. */
const FINISH_WORDS: Readonly<Record<FinishReason, string>> = {
  stop: "stop",
  "stop-string": "stop",
  length: "length",
  context: "context",
  "tool-calls": "tool_calls",
  repetition: "repetition",
  cancelled: "cancelled",
}

interface CollectedAnswer {
  readonly content: string
  readonly reasoning: string
  readonly toolCalls: readonly ToolCall[]
  readonly finish: FinishReason
  readonly usage: AnswerUsage | undefined
  readonly firstTokenMs: number | undefined
}

/** A one-turn prompt; a rendered one goes to the model as it is. */
export function questionOf(
  text: string,
  system: string | undefined,
  isRendered: boolean,
): Question {
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
    completion_tokens: usage?.completionTokens ?? 0,
  }
}

function timingsJson({ usage, firstTokenMs }: CollectedAnswer): Record<string, number | null> {
  const prefilled = usage === undefined ? 0 : usage.promptTokens - usage.cachedTokens
  return {
    first_token_ms: firstTokenMs ?? null,
    prefill_ms: usage?.prefillMs ?? null,
    decode_ms: usage?.decodeMs ?? null,
    prefill_tokens_per_second: rate(prefilled, usage?.prefillMs ?? 0) ?? null,
    decode_tokens_per_second: rate(usage?.completionTokens ?? 0, usage?.decodeMs ?? 0) ?? null,
  }
}

/** The object that `run --json` and the batch print. */
export function resultJson(backend: Backend, answer: CollectedAnswer): Record<string, unknown> {
  return {
    model: backend.description.model,
    content: answer.content,
    reasoning: answer.reasoning,
    tool_calls: answer.toolCalls,
    finish_reason: FINISH_WORDS[answer.finish],
    usage: usageJson(answer.usage),
    timings: timingsJson(answer),
  }
}

function streamEvent(event: AnswerEvent): Record<string, unknown> | undefined {
  switch (event.type) {
    case "reasoning":
      return { type: "reasoning", text: event.text }
    case "text":
      return { type: "content", text: event.text }
    case "tool-call-end":
      return { type: "tool_call", ...event.call }
    case "finish":
      return {
        type: "done",
        finish_reason: FINISH_WORDS[event.reason],
        usage: usageJson(event.usage),
      }
    default:
      return undefined
  }
}

/** Shows how far an answer that is not shown itself has come. */
class AnswerWatch {
  private tokens = 0
  private stage: "reading" | "writing" | undefined

  constructor(private readonly progress: Progress) {
    progress.begin({ label: "waiting for the model" })
  }

  take(event: AnswerEvent): void {
    if (event.type === "progress") {
      const { processedTokens, promptTokens: total } = event
      if (this.stage === undefined) this.progress.begin({ label: "reading", unit: "tokens", total })
      this.stage ??= "reading"
      this.progress.update(processedTokens)
    } else if (event.type !== "finish") {
      if (this.stage !== "writing") this.progress.begin({ label: "writing the answer" })
      this.stage = "writing"
      this.progress.update(++this.tokens)
    }
  }
}

/**
 * Runs one answer to its end.
 * @param emit gets the events of --stream-json as they come
 */
export async function collectAnswer(
  backend: Backend,
  { question, settings, signal }: RunRequest,
  progress: Progress,
  emit?: (event: Record<string, unknown>) => void,
): Promise<CollectedAnswer> {
  const startMs = performance.now()
  const answer = { content: "", reasoning: "", toolCalls: [] as ToolCall[] }
  let finish: FinishReason = "cancelled"
  let usage: AnswerUsage | undefined
  let firstTokenMs: number | undefined
  const watch = new AnswerWatch(progress)
  for await (const event of ask(backend, question, { ...settings, signal })) {
    watch.take(event)
    if (event.type === "text" || event.type === "reasoning") {
      firstTokenMs ??= performance.now() - startMs
      answer[event.type === "text" ? "content" : "reasoning"] += event.text
    } else if (event.type === "tool-call-end") answer.toolCalls.push(event.call)
    else if (event.type === "finish") ({ reason: finish, usage } = event)
    const streamed = streamEvent(event)
    if (streamed !== undefined) emit?.(streamed)
  }
  return { ...answer, finish, usage, firstTokenMs }
}
