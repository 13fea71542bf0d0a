// Reads the chunks of a streamed chat completion as the events of an answer.
import type { AnswerEvent, AnswerUsage, FinishReason, ToolCall } from "@ds4/chat"

export interface StreamChunk {
  choices?: {
    delta?: {
      content?: string | null
      reasoning_content?: string | null
      reasoning?: string | null
      tool_calls?: ToolDelta[]
    }
    finish_reason?: string | null
    finish_details?: { type?: string; message?: string } | null
  }[]
  usage?: {
    prompt_tokens?: number
    completion_tokens?: number
    prompt_tokens_details?: { cached_tokens?: number }
    completion_tokens_details?: { reasoning_tokens?: number }
  } | null
  error?: { message?: string }
}

interface ToolDelta {
  index?: number
  id?: string
  function?: { name?: string; arguments?: string }
}

const FINISHES: Readonly<Record<string, FinishReason>> = {
  stop: "stop",
  length: "length",
  tool_calls: "tool-calls",
}

/** A limit may cut a call in its arguments. */
function isComplete(call: ToolCall): boolean {
  try {
    JSON.parse(call.arguments)
    return true
  } catch {
    return false
  }
}

export class ServerAnswer {
  private reasoning = ""
  private content = ""
  private readonly calls = new Map<number, ToolCall>()
  private readonly complete: ToolCall[] = []
  private finish: FinishReason = "cancelled"
  private detail: string | undefined
  private usage: StreamChunk["usage"]
  private readonly startMs = performance.now()
  private firstMs: number | undefined;

  /** The events of one chunk. */
  *push(chunk: StreamChunk): Generator<AnswerEvent> {
    this.usage = chunk.usage ?? this.usage
    const choice = chunk.choices?.[0]
    const reasoning = choice?.delta?.reasoning_content ?? choice?.delta?.reasoning ?? ""
    const content = choice?.delta?.content ?? ""
    if (reasoning !== "" || content !== "") this.firstMs ??= performance.now()
    this.reasoning += reasoning
    this.content += content
    if (reasoning !== "") yield { type: "reasoning", text: reasoning }
    if (content !== "") yield { type: "text", text: content }
    for (const delta of choice?.delta?.tool_calls ?? []) yield* this.readCall(delta)
    if (typeof choice?.finish_reason === "string")
      this.finish = FINISHES[choice.finish_reason] ?? "stop"
    const details = choice?.finish_details
    if (details?.type !== "repetition") return
    this.finish = "repetition"
    this.detail = details.message
  }

  /** The last events: the ends of the calls, and the finish. */
  *end(): Generator<AnswerEvent> {
    for (const [index, call] of this.calls) {
      if (!isComplete(call)) continue
      this.complete.push(call)
      yield { type: "tool-call-end", index, call }
    }
    yield {
      type: "finish",
      reason: this.finish,
      stopString: undefined,
      detail: this.detail,
      usage: this.usageSoFar(),
      message: {
        role: "assistant",
        content: this.content,
        ...(this.reasoning === "" ? {} : { reasoning: this.reasoning }),
        ...(this.complete.length === 0 ? {} : { toolCalls: this.complete }),
      },
    }
  }

  private *readCall(delta: ToolDelta): Generator<AnswerEvent> {
    const index = delta.index ?? 0
    const piece = delta.function?.arguments ?? ""
    const known = this.calls.get(index)
    const call = known ?? { id: delta.id ?? "", name: delta.function?.name ?? "", arguments: "" }
    this.calls.set(index, { ...call, arguments: call.arguments + piece })
    if (known === undefined) yield { type: "tool-call-start", index, id: call.id, name: call.name }
    if (piece !== "") yield { type: "tool-call-arguments", index, text: piece }
  }

  /**
   * The server counts the tokens; the times are the client's: until the first text, and from there
   * on.
   */
  private usageSoFar(): AnswerUsage {
    const { usage, startMs } = this
    const firstMs = this.firstMs ?? performance.now()
    return {
      promptTokens: usage?.prompt_tokens ?? 0,
      cachedTokens: usage?.prompt_tokens_details?.cached_tokens ?? 0,
      completionTokens: usage?.completion_tokens ?? 0,
      reasoningTokens: usage?.completion_tokens_details?.reasoning_tokens ?? 0,
      prefillMs: firstMs - startMs,
      decodeMs: performance.now() - firstMs,
    }
  }
}
