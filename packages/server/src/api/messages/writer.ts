// Anthropic messages: frames of a stream and the whole object. No I/O.
import type { OutputEvent } from "@ds4/chat"
import type { OpeningUsage, Outcome } from "../../answer/outcome.ts"
import type { OutputBatch } from "../../answer/output-batch.ts"
import type { StreamWriter } from "../../answer/stream-writer.ts"
import type { Transcript } from "../../answer/transcript.ts"
import { eventFrame } from "../../answer/sse.ts"

interface MessageIdentity {
  /** "msg_…" */
  id: string
  model: string
}

function stopReason(
  finish: Outcome["finish"],
): "end_turn" | "stop_sequence" | "max_tokens" | "tool_use" {
  switch (finish) {
    case "stop":
      return "end_turn"
    case "stop-string":
      return "stop_sequence"
    case "length":
      return "max_tokens"
    case "tool-calls":
      return "tool_use"
  }
}

/** The fields of the end, in the whole message and in the stream's last delta. */
function endFields({ finish, stopString, detail }: Outcome): Record<string, unknown> {
  return {
    stop_reason: stopReason(finish),
    stop_sequence: stopString ?? null,
    ...(detail === undefined
      ? {}
      : { stop_details: { type: detail.type, explanation: detail.message } }),
  }
}

/** The three input figures always sum to the prompt. */
function anthropicUsage(usage: OpeningUsage, outputTokens: number): Record<string, number> {
  return {
    input_tokens: usage.promptTokens - usage.cachedTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: usage.cachedTokens,
    output_tokens: outputTokens,
  }
}

function finalUsage({ usage, cache }: Outcome): Record<string, unknown> {
  const counts = anthropicUsage(usage, usage.completionTokens)
  return cache === undefined ? counts : { ...counts, cache_explanation: cache }
}

/**
 * The `input` object of a call. Arguments that are no JSON object become one field, as when
 * rendered.
 */
function callInput(argumentsText: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(argumentsText)
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>
    return { arguments: value }
  } catch {
    return { arguments: argumentsText }
  }
}

function contentBlock(
  part: Transcript["parts"][number],
  { id: signature }: MessageIdentity,
): Record<string, unknown> {
  switch (part.type) {
    case "reasoning":
      return { type: "thinking", thinking: part.text, signature }
    case "text":
      return { type: "text", text: part.text }
    case "call": {
      const { id, name, arguments: text } = part.call
      return { type: "tool_use", id, name, input: callInput(text) }
    }
  }
}

/** The whole `message` object; `content` is never empty. */
export function anthropicMessage(
  identity: MessageIdentity,
  answer: Transcript,
  outcome: Outcome,
): Record<string, unknown> {
  const content = answer.parts.map((part) => contentBlock(part, identity))
  if (content.length === 0) content.push({ type: "text", text: "" })
  return {
    id: identity.id,
    type: "message",
    role: "assistant",
    model: identity.model,
    content,
    ...endFields(outcome),
    usage: finalUsage(outcome),
  }
}

type BlockKind = "thinking" | "text" | "tool_use"

/** Streams one message. Blocks never overlap; a block is opened by its first byte. */
export class MessageStreamWriter implements StreamWriter {
  readonly opensWithUsage = true
  private openBlock: BlockKind | undefined
  private blockIndex = -1
  private deltaHead = ""

  constructor(private readonly identity: MessageIdentity) {}

  open(usage: OpeningUsage): string {
    const { id, model } = this.identity
    const message = {
      id,
      type: "message",
      role: "assistant",
      model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: anthropicUsage(usage, 0),
    }
    return frame("message_start", { message })
  }

  write(batch: OutputBatch): string {
    let frames = ""
    for (const event of batch.events) frames += this.event(event)
    return frames
  }

  close(outcome: Outcome): string {
    let frames = this.closeBlock()
    if (this.blockIndex < 0)
      frames += this.openAs("text", { type: "text", text: "" }) + this.closeBlock()
    frames += frame("message_delta", {
      delta: endFields(outcome),
      usage: finalUsage(outcome),
    })
    return frames + frame("message_stop", {})
  }

  fail(message: string): string {
    return eventFrame(
      "error",
      JSON.stringify({ type: "error", error: { type: "api_error", message } }),
    )
  }

  keepAlive(_note: string): string {
    return frame("ping", {})
  }

  private event(event: OutputEvent): string {
    switch (event.type) {
      case "reasoning":
        return (
          this.ensure("thinking", { type: "thinking", thinking: "", signature: "" }) +
          this.delta("thinking_delta", "thinking", event.text)
        )
      case "text":
        return (
          this.ensure("text", { type: "text", text: "" }) +
          this.delta("text_delta", "text", event.text)
        )
      case "tool-call-start":
        return (
          this.closeBlock() +
          this.openAs("tool_use", { type: "tool_use", id: event.id, name: event.name, input: {} })
        )
      case "tool-call-arguments":
        return this.delta("input_json_delta", "partial_json", event.text)
      case "tool-call-end":
        return this.closeBlock()
    }
  }

  private delta(type: string, field: string, text: string): string {
    return `${this.deltaHead}{"type":"${type}","${field}":${JSON.stringify(text)}}}\n\n`
  }

  private ensure(kind: BlockKind, block: Record<string, unknown>): string {
    return this.openBlock === kind ? "" : this.closeBlock() + this.openAs(kind, block)
  }

  private openAs(kind: BlockKind, block: Record<string, unknown>): string {
    this.openBlock = kind
    this.blockIndex++
    this.deltaHead =
      `event: content_block_delta\ndata: {"type":"content_block_delta","index":` +
      `${this.blockIndex},"delta":`
    return frame("content_block_start", { index: this.blockIndex, content_block: block })
  }

  private closeBlock(): string {
    if (this.openBlock === undefined) return ""
    const signature =
      this.openBlock === "thinking"
        ? this.delta("signature_delta", "signature", this.identity.id)
        : ""
    this.openBlock = undefined
    return signature + frame("content_block_stop", { index: this.blockIndex })
  }
}

function frame(type: string, fields: Record<string, unknown>): string {
  return eventFrame(type, JSON.stringify({ type, ...fields }))
}
