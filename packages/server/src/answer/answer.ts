// What every API's writer is given: events while the model writes, and one outcome at the end.
import type { AnswerEvent, AnswerUsage, FinishReason, OutputEvent, SampledLogprob } from "@ds4/chat"

export type Finish = "stop" | "stop-string" | "length" | "tool-calls"

/** The finish that clients are told: a full context is a length limit to them. */
export function finishOf(reason: FinishReason): Finish {
  if (reason === "context") return "length"
  return reason === "cancelled" ? "stop" : reason
}

/** Token counts of one request. Prompt = cached + computed now; completion includes reasoning. */
export type TokenUsage = Omit<AnswerUsage, "prefillMs" | "decodeMs">

export interface Outcome {
  finish: Finish
  /** The string that ended the answer, with finish "stop-string". */
  stopString: string | undefined
  usage: TokenUsage
  prefillMs: number
  decodeMs: number
}

export interface LogprobLists {
  content: SampledLogprob[]
  reasoning: SampledLogprob[]
}

export interface OutputBatch {
  events: readonly OutputEvent[]
  logprobs: LogprobLists | undefined
}

/** The output among the events of one poll; undefined where there is none. */
export function batchOf(all: readonly AnswerEvent[]): OutputBatch | undefined {
  const events: OutputEvent[] = []
  let logprobs: LogprobLists | undefined
  for (const event of all) {
    if (event.type === "logprobs") {
      logprobs ??= { content: [], reasoning: [] }
      logprobs[event.part === "text" ? "content" : "reasoning"].push(...event.tokens)
    } else if (event.type !== "progress" && event.type !== "finish") events.push(event)
  }
  return events.length === 0 && logprobs === undefined ? undefined : { events, logprobs }
}

/** What is known when the stream opens: before prefill, after planning. */
export interface OpeningUsage {
  promptTokens: number
  cachedTokens: number
}

/** Turns one answer into frames. Methods are called in the order open, write…, close | fail. */
export interface StreamWriter {
  /**
   * True if `open` shows token counts and so has to wait until the engine has planned the prompt.
   */
  readonly opensWithUsage: boolean
  /** Frames that open the stream; after it the client knows that the request was accepted. */
  open(usage: OpeningUsage): string
  write(batch: OutputBatch): string
  close(outcome: Outcome): string
  /** Frames for a failure after the stream began. */
  fail(message: string): string
  /** A frame that says "still alive"; `note` is such as "prefill 18432/65536". */
  keepAlive(note: string): string
}

export interface Call {
  id: string
  name: string
  arguments: string
}

/** The whole answer, gathered from the same events that a stream shows. */
export class Transcript {
  reasoning = ""
  content = ""
  private readonly started: Call[] = []
  private readonly ended = new Set<number>()
  readonly logprobs: LogprobLists = { content: [], reasoning: [] }

  /** Complete calls; one that was cut by a limit is not among them. */
  get calls(): readonly Call[] {
    return this.started.filter((_, index) => this.ended.has(index))
  }

  add(batch: OutputBatch): void {
    for (const event of batch.events) this.addEvent(event)
    if (batch.logprobs === undefined) return
    this.logprobs.content.push(...batch.logprobs.content)
    this.logprobs.reasoning.push(...batch.logprobs.reasoning)
  }

  private addEvent(event: OutputEvent): void {
    switch (event.type) {
      case "reasoning":
        this.reasoning += event.text
        break
      case "text":
        this.content += event.text
        break
      case "tool-call-start":
        this.started[event.index] = { id: event.id, name: event.name, arguments: "" }
        break
      case "tool-call-arguments": {
        const call = this.started[event.index]
        if (call === undefined)
          throw new Error(`call-args for call ${event.index} before its call-start`)
        call.arguments += event.text
        break
      }
      case "tool-call-end":
        this.ended.add(event.index)
        break
    }
  }
}
