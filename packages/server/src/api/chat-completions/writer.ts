// OpenAI chat completions: frames of a stream and the whole object. No I/O.
import type { OutputEvent, SampledLogprob } from "@ds4/chat"
import type { OpeningUsage, Outcome } from "../../answer/outcome.ts"
import type { LogprobLists, OutputBatch } from "../../answer/output-batch.ts"
import type { StreamWriter } from "../../answer/stream-writer.ts"
import type { Transcript } from "../../answer/transcript.ts"
import { type CompletionIdentity, openaiUsage, timings } from "../../answer/openai-fields.ts"
import { commentFrame, dataFrame, DONE_FRAME } from "../../answer/sse.ts"

interface ChatStreamOptions {
  includeUsage: boolean
  includeProgress: boolean
  logprobs: boolean
}

function chatFinishReason(finish: Outcome["finish"]): "stop" | "length" | "tool_calls" {
  if (finish === "tool-calls") return "tool_calls"
  return finish === "length" ? "length" : "stop"
}

function logprobsField(lists: LogprobLists | undefined): Record<string, unknown> | null {
  if (lists === undefined) return null
  const content = lists.content.map(wireLogprob)
  return lists.reasoning.length > 0
    ? { content, reasoning_content: lists.reasoning.map(wireLogprob) }
    : { content }
}

/** One entry of OpenAI's logprobs lists. */
function wireLogprob({ top, ...token }: SampledLogprob): Record<string, unknown> {
  return { ...token, top_logprobs: top }
}

/** The whole `chat.completion` object. */
export function chatCompletion(
  identity: CompletionIdentity,
  answer: Transcript,
  outcome: Outcome,
  withLogprobs: boolean,
): Record<string, unknown> {
  const calls = answer.calls.map((call) => ({
    id: call.id,
    type: "function",
    function: { name: call.name, arguments: call.arguments },
  }))
  return {
    id: identity.id,
    object: "chat.completion",
    created: identity.created,
    model: identity.model,
    system_fingerprint: identity.fingerprint,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: answer.content === "" && calls.length > 0 ? null : answer.content,
          ...(answer.reasoning === "" ? {} : { reasoning_content: answer.reasoning }),
          ...(calls.length === 0 ? {} : { tool_calls: calls }),
        },
        logprobs: withLogprobs ? logprobsField(answer.logprobs) : null,
        finish_reason: chatFinishReason(outcome.finish),
        ...(outcome.detail === undefined ? {} : { finish_details: outcome.detail }),
      },
    ],
    usage: openaiUsage(outcome),
    timings: timings(outcome),
  }
}

/** Streams one chat answer. The unchanging head and tail of a chunk are serialised once. */
export class ChatStreamWriter implements StreamWriter {
  readonly opensWithUsage = false
  private readonly head: string
  private readonly usageTail: string
  private pendingLogprobs: LogprobLists = { content: [], reasoning: [] }

  constructor(
    private readonly identity: CompletionIdentity,
    private readonly options: ChatStreamOptions,
  ) {
    const { id, created, model, fingerprint } = identity
    const fields = JSON.stringify({
      id,
      object: "chat.completion.chunk",
      created,
      model,
      system_fingerprint: fingerprint,
    })
    this.head = `${fields.slice(0, -1)},"choices":[`
    this.usageTail = options.includeUsage ? `],"usage":null}` : "]}"
  }

  open(_usage: OpeningUsage): string {
    return this.chunk(`{"role":"assistant","content":""}`)
  }

  write(batch: OutputBatch): string {
    if (batch.logprobs !== undefined) {
      this.pendingLogprobs.content.push(...batch.logprobs.content)
      this.pendingLogprobs.reasoning.push(...batch.logprobs.reasoning)
    }
    let frames = ""
    for (const event of batch.events) {
      const delta = deltaOf(event)
      if (delta !== undefined) frames += this.chunk(delta)
    }
    return frames
  }

  close(outcome: Outcome): string {
    const finish = this.chunk("{}", outcome)
    if (!this.options.includeUsage) return finish + DONE_FRAME
    const usage = JSON.stringify(openaiUsage(outcome))
    return (
      `${finish}data: ${this.head}],"usage":${usage},"timings":` +
      `${JSON.stringify(timings(outcome))}}\n\n${DONE_FRAME}`
    )
  }

  fail(message: string): string {
    return dataFrame(
      JSON.stringify({ error: { message, type: "server_error", param: null, code: null } }),
    )
  }

  keepAlive(note: string): string {
    if (!this.options.includeProgress) return commentFrame(note)
    const { id, created, model } = this.identity
    return dataFrame(
      JSON.stringify({
        id,
        object: "chat.completion.chunk",
        created,
        model,
        choices: [],
        progress: note,
      }),
    )
  }

  private chunk(delta: string, outcome?: Outcome): string {
    const reason = outcome === undefined ? "null" : `"${chatFinishReason(outcome.finish)}"`
    const details =
      outcome?.detail === undefined ? "" : `,"finish_details":${JSON.stringify(outcome.detail)}`
    return (
      `data: ${this.head}{"index":0,"delta":${delta},"logprobs":` +
      `${this.takeLogprobs()},"finish_reason":${reason}${details}}${this.usageTail}\n\n`
    )
  }

  /** Text may be held back behind its tokens; their logprobs travel with the next chunk. */
  private takeLogprobs(): string {
    if (!this.options.logprobs) return "null"
    const { content, reasoning } = this.pendingLogprobs
    if (content.length === 0 && reasoning.length === 0) return "null"
    const field = JSON.stringify(logprobsField(this.pendingLogprobs))
    this.pendingLogprobs = { content: [], reasoning: [] }
    return field
  }
}

function deltaOf(event: OutputEvent): string | undefined {
  switch (event.type) {
    case "text":
      return `{"content":${JSON.stringify(event.text)}}`
    case "reasoning":
      return `{"reasoning_content":${JSON.stringify(event.text)}}`
    case "tool-call-start":
      return JSON.stringify({
        tool_calls: [
          {
            index: event.index,
            id: event.id,
            type: "function",
            function: { name: event.name, arguments: "" },
          },
        ],
      })
    case "tool-call-arguments":
      return (
        `{"tool_calls":[{"index":${event.index},"function":{"arguments":` +
        `${JSON.stringify(event.text)}}}]}`
      )
    case "tool-call-end":
      return undefined
  }
}
