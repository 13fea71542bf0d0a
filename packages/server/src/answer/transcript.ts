import type { OutputEvent, ToolCall } from "@ds4/chat"
import type { LogprobLists, OutputBatch } from "./output-batch.ts"

/** A piece of an answer between others; a call is complete. */
type TranscriptPart =
  | { readonly type: "reasoning" | "text"; readonly text: string }
  | { readonly type: "call"; readonly call: ToolCall }

/** The whole answer, gathered from the same events that a stream shows. */
export class Transcript {
  private readonly gathered: TranscriptPart[] = []
  readonly logprobs: LogprobLists = { content: [], reasoning: [] }

  /** Reasoning, text and calls in their order. Only calls have neighbours of their kind. */
  get parts(): readonly TranscriptPart[] {
    return this.gathered
  }

  get reasoning(): string {
    return this.textOf("reasoning")
  }

  get content(): string {
    return this.textOf("text")
  }

  /** Complete calls; one that was cut by a limit is not among them. */
  get calls(): readonly ToolCall[] {
    return this.gathered.flatMap((part) => (part.type === "call" ? [part.call] : []))
  }

  add(batch: OutputBatch): void {
    for (const event of batch.events) this.addEvent(event)
    if (batch.logprobs === undefined) return
    this.logprobs.content.push(...batch.logprobs.content)
    this.logprobs.reasoning.push(...batch.logprobs.reasoning)
  }

  private textOf(type: "reasoning" | "text"): string {
    return this.gathered.map((part) => (part.type === type ? part.text : "")).join("")
  }

  private addEvent(event: OutputEvent): void {
    if (event.type === "tool-call-end") this.gathered.push({ type: "call", call: event.call })
    if (event.type !== "reasoning" && event.type !== "text") return
    const { type, text } = event
    const last = this.gathered.at(-1)
    if (last?.type === type)
      this.gathered[this.gathered.length - 1] = { type, text: last.text + text }
    else this.gathered.push({ type, text })
  }
}
