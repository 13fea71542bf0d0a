// The decode loop of the fake engine: scripted tokens under the native stop rules.
import type { Tokenizer } from "@ds4/tokenizer"
import type { JobRequest } from "../native/job.ts"
import { closesBlock } from "./closes-block.ts"
import type { GeneratedToken, GenerateEvent } from "../types.ts"

/** The end of thinking in ordinary tokens. */
const THINK_CLOSE = "</think>"

type End = Omit<Extract<GenerateEvent, { type: "end" }>, "type" | "usage">

export class Answer {
  end: End | undefined
  private next = 0
  private generated = 0
  private thinkingTokens = 0
  private isThinking: boolean
  private thinking = "" // its end
  /** Bytes of the answer, one character each. */
  private text = ""
  private readonly room: number
  private readonly stops: readonly string[]

  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly job: JobRequest,
    private readonly tokens: readonly number[],
    contextTokens: number,
  ) {
    this.isThinking = job.thinkCloseToken >= 0
    this.room = contextTokens - job.prompt.length
    this.stops = job.stopStrings.map((text) => Buffer.from(text).toString("latin1"))
    if (job.maxTokens === 0) this.end = { reason: "length" }
    else if (this.room === 0) this.end = { reason: "context" }
  }

  /** Every scripted token has been given. */
  get isExhausted(): boolean {
    return this.next >= this.tokens.length
  }

  /** The next tokens, fewer where the answer ends. */
  take(count: number): GeneratedToken[] {
    const batch: GeneratedToken[] = []
    while (batch.length < count && this.end === undefined) {
      const id = this.choose()
      if (this.job.stopTokens.includes(id)) {
        this.end = { reason: "stop", stopToken: id }
        break
      }
      batch.push(this.token(id))
      this.generated++
      this.read(id)
    }
    return batch
  }

  private choose(): number {
    const { reasoningBudget, thinkCloseToken } = this.job
    if (this.isThinking && reasoningBudget > 0 && this.thinkingTokens >= reasoningBudget) {
      const close = this.tokens.indexOf(thinkCloseToken, this.next)
      this.next = close < 0 ? this.tokens.length : close + 1
      return thinkCloseToken
    }
    return this.tokens[this.next++] ?? this.tokenizer.eos
  }

  private get utf8Text(): string {
    return Buffer.from(this.text, "latin1").toString("utf8")
  }

  private token(id: number): GeneratedToken {
    const { logprobs, topLogprobs } = this.job
    if (!logprobs) return { id }
    if (topLogprobs === 0) return { id, logprob: -0.5 }
    const others = Array.from({ length: topLogprobs - 1 }, (_, i) => ({
      id: (id + 1 + i) % this.tokenizer.vocab,
      logprob: -1.5 - i,
    }))
    return { id, logprob: -0.5, top: [{ id, logprob: -0.5 }, ...others] }
  }

  private read(id: number): void {
    const { thinkCloseToken, stopStrings, toolZones, toolNames, maxTokens } = this.job
    const text = Buffer.from(this.tokenizer.tokenBytes(id)).toString("latin1")
    if (this.isThinking) {
      this.thinking = (this.thinking + text).slice(-THINK_CLOSE.length)
      if (id === thinkCloseToken || this.thinking === THINK_CLOSE) this.isThinking = false
      else this.thinkingTokens++
    } else {
      this.text += text
      const hit = this.stops.findIndex((text) => this.text.includes(text))
      if (toolZones && text.includes(">") && closesBlock(this.utf8Text, toolNames))
        this.end = { reason: "stop" }
      else if (hit >= 0) this.end = { reason: "stop-string", stopString: stopStrings[hit] ?? "" }
    }
    if (this.end === undefined && this.generated >= maxTokens) this.end = { reason: "length" }
    if (this.end === undefined && this.generated >= this.room) this.end = { reason: "context" }
  }
}
