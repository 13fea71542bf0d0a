// What every API's writer is given: events while the model writes, and one outcome at the end.
import type { OutputEvent } from "@ds4/chat"

export type Finish = "stop" | "stop-string" | "length" | "tool-calls"

/** Token counts of one request. Prompt = cached + computed now; completion includes reasoning. */
export interface TokenUsage {
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  reasoningTokens: number
}

export interface Outcome {
  finish: Finish
  /** The string that ended the answer, with finish "stop-string". */
  stopString: string | undefined
  usage: TokenUsage
  prefillMs: number
  decodeMs: number
}

/** One entry of OpenAI's logprobs lists. */
export interface TokenLogprob {
  token: string
  logprob: number
  bytes: number[]
  top_logprobs: { token: string; logprob: number; bytes: number[] }[]
}

export interface LogprobLists {
  content: TokenLogprob[]
  reasoning: TokenLogprob[]
}

export interface OutputBatch {
  events: readonly OutputEvent[]
  logprobs: LogprobLists | undefined
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

/** Joins neighbouring text events, so that a batch of many tokens becomes one frame. */
export function coalesce(events: readonly OutputEvent[]): OutputEvent[] {
  const joined: OutputEvent[] = []
  for (const event of events) {
    const last = joined.at(-1)
    if (last !== undefined && "text" in last && last.type === event.type && sameCall(last, event)) {
      joined[joined.length - 1] = { ...last, text: last.text + event.text }
    } else joined.push(event)
  }
  return joined
}

function sameCall(left: OutputEvent, right: OutputEvent): boolean {
  return ("index" in left ? left.index : -1) === ("index" in right ? right.index : -1)
}
