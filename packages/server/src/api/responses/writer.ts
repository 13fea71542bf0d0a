// OpenAI Responses: frames of a stream and the whole object. No I/O.
// One builder serves both: the whole answer is the `response` of the stream's last frame.
import type { OutputEvent } from "@ds4/chat"
import type { OpeningUsage, Outcome } from "../../answer/outcome.ts"
import type { OutputBatch } from "../../answer/output-batch.ts"
import type { StreamWriter } from "../../answer/stream-writer.ts"
import type { Transcript } from "../../answer/transcript.ts"
import {
  callItem,
  CustomInputReader,
  keptReasoning,
  messageItem,
  reasoningItem,
  shownItem,
  textPart,
  type CallItem,
  type ItemStatus,
  type ReasoningShape,
  type ToolNames,
} from "./items.ts"
import { randomId } from "../../answer/random-id.ts"
import { eventFrame } from "../../answer/sse.ts"
import { eventsOf } from "./transcript-events.ts"
import { endingOf } from "./usage.ts"

export interface ResponseIdentity {
  /** "resp_…" */
  id: string
  /** Unix seconds. */
  created: number
  model: string
  /** Request fields that the vendor echoes in the response object. */
  echo: Record<string, unknown>
  reasoning: ReasoningShape
  tools: ToolNames
}

/** The index of an item that the client is not shown. */
const NOT_SHOWN = -1

interface OpenText {
  kind: "reasoning" | "message"
  id: string
  index: number
  text: string
}
interface OpenCall {
  kind: "call"
  call: CallItem
  index: number
  reader: CustomInputReader | undefined
}

export class ResponseStreamWriter implements StreamWriter {
  readonly opensWithUsage = false
  private sequence = 0
  private openItem: OpenText | OpenCall | undefined
  private itemCount = 0
  /** All items so far, with the reasoning that is not shown. */
  readonly items: Record<string, unknown>[] = []
  /** The whole object as it was told last, once the answer has ended. */
  private last: Record<string, unknown> | undefined
  private isOpen = false

  constructor(private readonly identity: ResponseIdentity) {}

  open(_usage: OpeningUsage): string {
    this.isOpen = true
    const response = this.response("in_progress", {})
    return (
      this.frame("response.created", { response }) +
      this.frame("response.in_progress", { response })
    )
  }

  write(batch: OutputBatch): string {
    let frames = ""
    for (const event of batch.events) frames += this.event(event)
    return frames
  }

  close(outcome: Outcome): string {
    const status = outcome.finish === "length" ? "incomplete" : "completed"
    const frames = this.closeItem(status)
    this.last = this.response(status, endingOf(outcome))
    return frames + this.frame(`response.${status}`, { response: this.last })
  }

  /** The whole response object of an answer that was not streamed. */
  wholeOf(answer: Transcript, outcome: Outcome): Record<string, unknown> {
    this.write({ events: eventsOf(answer), logprobs: undefined })
    const status = outcome.finish === "length" ? "incomplete" : "completed"
    this.closeItem(status)
    return (this.last = this.response(status, endingOf(outcome)))
  }

  fail(message: string): string {
    const frames = this.closeItem("incomplete")
    const error = { code: "server_error", message }
    this.last = this.response("failed", { error })
    return frames + this.frame("response.failed", { response: this.last })
  }

  /**
   * The object of an answer that has ended, for later requests. Undefined where the client never
   * learnt its id.
   * @param isCancelled somebody ended it, or its client is gone
   */
  finalObject(isCancelled: boolean): Record<string, unknown> | undefined {
    if (this.last === undefined && !this.isOpen) return undefined
    this.closeItem("incomplete")
    const told = this.last ?? this.response("cancelled", {})
    return isCancelled ? { ...told, status: "cancelled", error: null } : told
  }

  /** A data frame: Codex has an idle timer that comments do not reset. */
  keepAlive(_note: string): string {
    return this.frame("response.in_progress", { response: this.response("in_progress", {}) })
  }

  private response(status: string, extra: Record<string, unknown>): Record<string, unknown> {
    const { id, created, model, echo } = this.identity
    return {
      id,
      object: "response",
      created_at: created,
      status,
      model,
      error: null,
      incomplete_details: null,
      ...echo,
      output: this.items.flatMap((item) => shownItem(item, this.identity.reasoning) ?? []),
      usage: null,
      ...extra,
    }
  }

  private event(event: OutputEvent): string {
    switch (event.type) {
      case "reasoning":
        return this.reasoning(event.text)
      case "text":
        return this.content(event.text)
      case "tool-call-start":
        return this.closeItem("completed") + this.openCall(event.id, event.name)
      case "tool-call-arguments":
        return this.callArguments(event.text)
      case "tool-call-end":
        return this.closeItem("completed")
    }
  }

  private reasoning(text: string): string {
    const { showSummary, includeEncrypted } = this.identity.reasoning
    const isShown = showSummary || includeEncrypted
    let frames = ""
    let open = this.openItem
    if (open?.kind !== "reasoning") {
      frames += this.closeItem("completed")
      const index = isShown ? this.itemCount++ : NOT_SHOWN
      open = { kind: "reasoning", id: randomId("rs_"), index, text: "" }
      this.openItem = open
      if (isShown)
        frames += this.added(
          index,
          reasoningItem(open.id, "", "in_progress", this.identity.reasoning),
        )
      if (showSummary)
        frames += this.summary("part.added", open, { part: { type: "summary_text", text: "" } })
    }
    open.text += text
    return showSummary ? frames + this.summary("text.delta", open, { delta: text }) : frames
  }

  private summary(kind: string, { id, index }: OpenText, fields: Record<string, unknown>): string {
    return this.frame(`response.reasoning_summary_${kind}`, {
      item_id: id,
      output_index: index,
      summary_index: 0,
      ...fields,
    })
  }

  private content(text: string): string {
    let frames = ""
    let open = this.openItem
    if (open?.kind !== "message") {
      frames += this.closeItem("completed")
      open = { kind: "message", id: randomId("msg_"), index: this.itemCount++, text: "" }
      this.openItem = open
      frames += this.added(open.index, messageItem(open.id, "", "in_progress"))
      frames += this.part("content_part.added", open, { part: textPart("") })
    }
    open.text += text
    return frames + this.part("output_text.delta", open, { delta: text })
  }

  private part(kind: string, { id, index }: OpenText, fields: Record<string, unknown>): string {
    return this.frame(`response.${kind}`, {
      item_id: id,
      output_index: index,
      content_index: 0,
      ...fields,
    })
  }

  private openCall(callId: string, name: string): string {
    const tool = this.identity.tools.get(name) ?? { kind: "function", name, namespace: undefined }
    const call: CallItem = {
      id: randomId(tool.kind === "custom" ? "ctc_" : "fc_"),
      callId,
      tool,
      payload: "",
    }
    const open: OpenCall = {
      kind: "call",
      call,
      index: this.itemCount++,
      reader: tool.kind === "custom" ? new CustomInputReader() : undefined,
    }
    this.openItem = open
    return this.added(open.index, callItem(call, "in_progress"))
  }

  private callArguments(text: string): string {
    const open = this.openItem
    if (open?.kind !== "call") throw new Error("call-args arrived while no call is open")
    const delta = open.reader === undefined ? text : open.reader.push(text)
    if (delta === "") return ""
    open.call.payload += delta
    return this.frame(`${callEvent(open)}.delta`, {
      item_id: open.call.id,
      output_index: open.index,
      delta,
    })
  }

  private closeItem(status: ItemStatus): string {
    const open = this.openItem
    if (open === undefined) return ""
    this.openItem = undefined
    const { frames, item } = this.endItem(open, status)
    this.items.push(item)
    const shown = shownItem(item, this.identity.reasoning)
    return shown === undefined
      ? frames
      : frames + this.frame("response.output_item.done", { output_index: open.index, item: shown })
  }

  private endItem(
    open: OpenText | OpenCall,
    status: ItemStatus,
  ): { frames: string; item: Record<string, unknown> } {
    if (open.kind === "call") {
      const { call, index } = open
      const payload =
        call.tool.kind === "custom"
          ? { input: call.payload }
          : { name: call.tool.name, arguments: call.payload }
      return {
        frames: this.frame(`${callEvent(open)}.done`, {
          item_id: call.id,
          output_index: index,
          ...payload,
        }),
        item: callItem(call, status),
      }
    }
    if (open.kind === "message") {
      const frames =
        this.part("output_text.done", open, { text: open.text }) +
        this.part("content_part.done", open, { part: textPart(open.text) })
      return { frames, item: messageItem(open.id, open.text, status) }
    }
    const item = keptReasoning(open.id, open.text, status)
    if (!this.identity.reasoning.showSummary) return { frames: "", item }
    const frames =
      this.summary("text.done", open, { text: open.text }) +
      this.summary("part.done", open, { part: { type: "summary_text", text: open.text } })
    return { frames, item }
  }

  private added(index: number, item: Record<string, unknown>): string {
    return this.frame("response.output_item.added", { output_index: index, item })
  }

  private frame(type: string, fields: Record<string, unknown>): string {
    return eventFrame(type, JSON.stringify({ type, sequence_number: this.sequence++, ...fields }))
  }
}

function callEvent(open: OpenCall): string {
  return open.call.tool.kind === "custom"
    ? "response.custom_tool_call_input"
    : "response.function_call_arguments"
}
