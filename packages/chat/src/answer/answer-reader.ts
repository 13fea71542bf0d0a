// Reads sampled tokens as parts of an answer. The result depends on the tokens alone, never on the
// batches in which they arrive.
import type { EndReason, GeneratedToken } from "@ds4/engine"
import type { StreamDecoder, Tokenizer } from "@ds4/tokenizer"
import type { OutputEvent } from "../parser/events.ts"
import { OutputParser } from "../parser/output-parser.ts"
import type { ToolCall } from "../template/conversation.ts"
import type { ReplayBlock } from "../template/replay.ts"
import { alignBlock } from "../template/replay.ts"
import type { FinishReason, LogprobsEvent, SampledLogprob, TokenLogprob } from "./answer-event.ts"
import type { AnswerOptions, Prompt } from "./answer-request.ts"
import { coalesce } from "./coalesce.ts"
import { ControlTokens } from "./control-tokens.ts"
import { LoopGuard } from "./loop-guard.ts"

export type ReaderOptions = Pick<
  AnswerOptions,
  "stopStrings" | "strictTools" | "allowParallelCalls" | "newCallId" | "loopGuard"
>

type ReadEvent = OutputEvent | LogprobsEvent

/** The call block of an answer as it was sampled. */
interface SampledBlock {
  readonly calls: readonly ToolCall[]
  readonly block: ReplayBlock
}

/** An agent works on its own: nobody reads along who would end an answer that goes in circles. */
function isAgentPrompt({ tools, messages = [] }: Pick<Prompt, "tools" | "messages">) {
  return tools.length > 0 || messages.some(({ role }) => role === "tool")
}

export class AnswerReader {
  /** Why the answer ended; undefined while it goes on. */
  finish: FinishReason | undefined
  reasoningTokens = 0
  reasoning = ""
  content = ""
  /** Complete calls. */
  readonly calls: ToolCall[] = []
  private readonly sampled: number[] = []
  /** Ids sampled after the reasoning. */
  private readonly contentIds: number[] = []
  private readonly decoder: StreamDecoder
  private readonly parser: OutputParser
  private readonly control: ControlTokens
  private readonly guard: LoopGuard | undefined
  private before = "" // the end of the text so far
  private isInReasoning: boolean
  /** No token has closed the reasoning yet. */
  private isBeforeClose: boolean
  private logprobs: Record<"reasoning" | "text", SampledLogprob[]> = { reasoning: [], text: [] }

  constructor(
    private readonly tokenizer: Tokenizer,
    prompt: Pick<Prompt, "isThinking" | "tools" | "messages">,
    private readonly options: ReaderOptions = {},
  ) {
    this.isInReasoning = prompt.isThinking
    this.isBeforeClose = prompt.isThinking
    this.decoder = tokenizer.streamDecoder()
    this.parser = new OutputParser({
      thinking: prompt.isThinking,
      tools: prompt.tools,
      stopStrings: options.stopStrings ?? [],
      strictTools: options.strictTools ?? false,
      newCallId: options.newCallId,
    })
    this.control = new ControlTokens(tokenizer)
    if (options.loopGuard !== false && isAgentPrompt(prompt))
      this.guard = new LoopGuard(tokenizer, prompt.messages ?? [])
  }

  /** Ids that end the answer and are no part of it. */
  get stopTokens(): readonly number[] {
    return [...this.control.ending]
  }

  /** Sampled tokens that were read, those of reasoning included. */
  get completionTokens(): number {
    return this.sampled.length
  }

  get stopString(): string | undefined {
    return this.parser.result.stopString
  }

  /** A sentence about the end, where the reason alone does not say it. */
  get detail(): string | undefined {
    return this.finish === "repetition" ? this.guard?.finding : undefined
  }

  /** Sentences about tool calls that could not be read. */
  get warnings(): readonly string[] {
    return this.parser.result.warnings
  }

  /** Takes tokens in the order in which they were sampled; those after the end are ignored. */
  push(tokens: readonly GeneratedToken[]): ReadEvent[] {
    const events: OutputEvent[] = []
    for (const token of tokens) {
      if (this.finish !== undefined) break
      events.push(...this.read(token))
      if (this.finish === undefined) events.push(...this.endLoop())
    }
    return this.take(events)
  }

  /** Ends the answer and returns everything that was held back. */
  end(reason: EndReason): ReadEvent[] {
    if (this.finish !== undefined) return this.take([])
    return this.take(this.finishWith(reason))
  }

  private finishWith(reason: EndReason): OutputEvent[] {
    const isCut = reason !== "stop" && reason !== "stop-string"
    const arrived = [
      ...this.parser.push(this.decoder.flush()),
      ...this.parser.end(isCut ? "cut" : "stop"),
    ]
    const events = this.guard?.filter(arrived) ?? arrived
    if (reason === "cancelled") this.finish = reason
    else this.finish = this.guard?.finding === undefined ? this.parserFinish(reason) : "repetition"
    return events
  }

  /** Ends an answer that repeats itself, as a limit would. */
  private endLoop(): OutputEvent[] {
    this.guard?.readTokens(this.sampled, this.parser.part)
    return this.guard?.finding === undefined ? [] : this.finishWith("length")
  }

  private read(token: GeneratedToken): OutputEvent[] {
    if (this.control.ending.has(token.id)) return this.finishWith("stop")
    this.sampled.push(token.id)
    if (this.isInReasoning) this.reasoningTokens++
    if (!this.isBeforeClose) this.contentIds.push(token.id)
    if (this.control.isStray(token.id, this.parser.part, this.before)) return []
    if (token.logprob !== undefined) this.holdLogprob(token, token.logprob)
    const text = this.decoder.push(token.id)
    this.before = (this.before + text).slice(-3)
    const parsed = this.parser.push(text)
    const arrived = this.guard?.filter(parsed) ?? parsed
    if (token.id === this.control.thinkClose || this.parser.part === "text")
      this.isInReasoning = this.isBeforeClose = false
    const lastCall =
      this.options.allowParallelCalls === false
        ? arrived.findIndex(({ type }) => type === "tool-call-end")
        : -1
    const events = lastCall < 0 ? arrived : arrived.slice(0, lastCall + 1)
    // A call inside unclosed reasoning ends the reasoning.
    if (events.some(({ type }) => type !== "reasoning")) this.isInReasoning = false
    if (lastCall >= 0) this.finish = "tool-calls"
    else if (this.parser.isDone && this.guard?.finding === undefined)
      this.finish = this.parserFinish("stop")
    return events
  }

  private parserFinish(reason: EndReason): FinishReason {
    const { finish, stopString } = this.parser.result
    if (finish === "tool_calls") return "tool-calls"
    if (stopString !== undefined) return "stop-string"
    return finish === "length" && reason === "context" ? "context" : finish
  }

  private take(events: readonly OutputEvent[]): ReadEvent[] {
    const joined: ReadEvent[] = coalesce(events)
    for (const event of events) {
      if (event.type === "reasoning") this.reasoning += event.text
      else if (event.type === "text") this.content += event.text
      else if (event.type === "tool-call-end") this.calls.push(event.call)
    }
    for (const part of ["reasoning", "text"] as const) {
      const tokens = this.logprobs[part]
      if (tokens.length > 0) joined.push({ type: "logprobs", part, tokens })
      this.logprobs[part] = []
    }
    return joined
  }

  private holdLogprob({ id, top = [] }: GeneratedToken, logprob: number): void {
    this.logprobs[this.isInReasoning ? "reasoning" : "text"].push({
      ...this.tokenLogprob(id, logprob),
      top: top.map((other) => this.tokenLogprob(other.id, other.logprob)),
    })
  }

  private tokenLogprob(id: number, logprob: number): TokenLogprob {
    const bytes = this.tokenizer.tokenBytes(id)
    return { token: Buffer.from(bytes).toString("utf8"), logprob, bytes: [...bytes] }
  }

  /** The call block with its ids; undefined without a complete block. */
  get sampledBlock(): SampledBlock | undefined {
    const { calls, block } = this.parser.result
    if (block === undefined || calls.length === 0) return undefined
    const aligned = alignBlock(this.tokenizer, this.sampled, block)
    return aligned === undefined ? undefined : { calls, block: { ...aligned, calls } }
  }

  /** Ids of the content; undefined where they stand for more or less than its text. */
  get sampledContent(): readonly number[] | undefined {
    return this.tokenizer.decode(this.contentIds) === this.content ? this.contentIds : undefined
  }
}
