import type { Conversation, Message } from "@ds4/chat"
import { CliError, EXIT, messageOf, usageError } from "../errors.ts"
import type {
  AnswerEvent,
  AnswerRequest,
  AnswerSettings,
  AnswerUsage,
  Backend,
  FinishReason,
} from "./backend.ts"
import { printable } from "../terminal/printable.ts"
import { serverEvents } from "./server-events.ts"

export interface RemoteOptions {
  /** Base address, with or without /v1. */
  readonly url: string
  readonly apiKey: string | undefined
  /** Model name to ask for; default: the first one the server lists. */
  readonly model?: string
}

interface StreamChunk {
  choices?: {
    delta?: {
      content?: string | null
      reasoning_content?: string | null
      reasoning?: string | null
      tool_calls?: ToolDelta[]
    }
    finish_reason?: string | null
  }[]
  usage?: {
    prompt_tokens?: number
    completion_tokens?: number
    prompt_tokens_details?: { cached_tokens?: number }
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
  tool_calls: "tool_calls",
}

function wireMessage(message: Message): Record<string, unknown> {
  const { role, content } = message
  return role === "assistant" && message.reasoning !== undefined
    ? { role, content, reasoning_content: message.reasoning }
    : { role, content }
}

function requestBody(
  model: string,
  conversation: Conversation,
  settings: AnswerSettings,
): Record<string, unknown> {
  return {
    model,
    messages: conversation.messages.map(wireMessage),
    stream: true,
    stream_options: { include_usage: true },
    temperature: settings.temperature,
    top_p: settings.topP,
    top_k: settings.topK,
    min_p: settings.minP,
    ...(settings.seed === undefined ? {} : { seed: settings.seed }),
    ...(settings.maxTokens === undefined ? {} : { max_tokens: settings.maxTokens }),
    ...(settings.stop.length === 0 ? {} : { stop: settings.stop }),
    ...(settings.think === "default"
      ? {}
      : { reasoning_effort: settings.think === "off" ? "none" : settings.think }),
  }
}

/** A server that speaks the OpenAI chat interface. */
export class RemoteBackend implements Backend {
  private constructor(
    private readonly base: string,
    private readonly headers: Readonly<Record<string, string>>,
    readonly description: Backend["description"],
  ) {}

  /** Asks the server for its models; throws with exit code 5 when there is no server. */
  static async open(options: RemoteOptions): Promise<RemoteBackend> {
    if (!URL.canParse(options.url))
      throw usageError(
        `--url is "${options.url}"; expected an address such as http://127.0.0.1:8000`,
      )
    const base = `${options.url.replace(/\/+$/, "").replace(/\/v1$/, "")}/v1`
    const headers: Record<string, string> =
      options.apiKey === undefined ? {} : { authorization: `Bearer ${options.apiKey}` }
    const response = await reach(`${base}/models`, { headers })
    const listed = (await response.json()) as { data?: { id?: string; context_length?: number }[] }
    const first = listed.data?.[0]
    const model = options.model ?? first?.id ?? "default"
    return new RemoteBackend(base, headers, {
      model,
      contextTokens: first?.context_length,
      where: `served at ${options.url}`,
    })
  }

  async *answer(request: AnswerRequest): AsyncIterable<AnswerEvent> {
    if (request.prompt.type === "rendered")
      throw usageError("a rendered prompt needs a local engine; leave out --url or --raw")
    if (request.from !== undefined)
      throw usageError("a server cannot go on with an answer; /retry asks again")
    const startMs = performance.now()
    const response = await reach(`${this.base}/chat/completions`, {
      method: "POST",
      headers: { ...this.headers, "content-type": "application/json" },
      body: JSON.stringify(
        requestBody(this.description.model, request.prompt.conversation, request.settings),
      ),
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    })
    const calls = new Map<number, { id: string; name: string; arguments: string }>()
    let finish: FinishReason = "cancelled"
    let usage: StreamChunk["usage"]
    let firstMs: number | undefined
    for await (const data of serverEvents(response)) {
      const chunk = data as StreamChunk // every field is optional and read as such
      if (chunk.error !== undefined)
        throw new CliError(
          EXIT.failed,
          `the server failed: ${printable(chunk.error.message ?? "no message")}`,
        )
      usage = chunk.usage ?? usage
      const choice = chunk.choices?.[0]
      const reasoning = choice?.delta?.reasoning_content ?? choice?.delta?.reasoning ?? ""
      const content = choice?.delta?.content ?? ""
      if (reasoning !== "" || content !== "") firstMs ??= performance.now()
      if (reasoning !== "") yield { type: "reasoning", text: reasoning }
      if (content !== "") yield { type: "content", text: content }
      for (const delta of choice?.delta?.tool_calls ?? []) collectCall(calls, delta)
      if (typeof choice?.finish_reason === "string")
        finish = FINISHES[choice.finish_reason] ?? "stop"
    }
    for (const call of calls.values()) yield { type: "tool-call", call }
    yield { type: "end", finish, usage: usageOf(usage, startMs, firstMs ?? performance.now()) }
  }

  prompt(): undefined {
    return undefined
  }

  async close(): Promise<void> {}
}

function collectCall(
  calls: Map<number, { id: string; name: string; arguments: string }>,
  delta: ToolDelta,
): void {
  const index = delta.index ?? 0
  const call = calls.get(index) ?? { id: "", name: "", arguments: "" }
  call.id += delta.id ?? ""
  call.name += delta.function?.name ?? ""
  call.arguments += delta.function?.arguments ?? ""
  calls.set(index, call)
}

/**
 * The server counts the tokens; the times are the client's: until the first text, and from there
 * on.
 */
function usageOf(usage: StreamChunk["usage"], startMs: number, firstMs: number): AnswerUsage {
  return {
    promptTokens: usage?.prompt_tokens ?? 0,
    cachedTokens: usage?.prompt_tokens_details?.cached_tokens ?? 0,
    generatedTokens: usage?.completion_tokens ?? 0,
    prefillMs: firstMs - startMs,
    decodeMs: performance.now() - firstMs,
  }
}

/** Fetches; no connection is exit code 5, a refused request carries the server's message. */
async function reach(url: string, init: RequestInit): Promise<Response> {
  let response: Response
  try {
    response = await fetch(url, init)
  } catch (error) {
    if (init.signal?.aborted === true) throw error
    throw new CliError(EXIT.unreachable, `there is no server at ${url}: ${messageOf(error)}`)
  }
  if (response.ok) return response
  const text = await response.text()
  throw new CliError(
    EXIT.failed,
    `the server answered ${response.status}: ${printable(errorText(text))}`,
  )
}

function errorText(body: string): string {
  try {
    const parsed = JSON.parse(body) as { error?: { message?: unknown } }
    if (typeof parsed.error?.message === "string") return parsed.error.message
  } catch {
    return body.slice(0, 300) // not JSON: whatever stands before the server, in its own words
  }
  return body.slice(0, 300)
}
