// One request inside the engine: tokens in, output events out, one outcome at the end. It knows no
// API.
import {
  EngineError,
  type GenerateEvent,
  type GeneratedToken,
  type GenerateRequest,
} from "@ds4/engine"
import {
  alignBlock,
  type OutputEvent,
  OutputParser,
  type ParsedCall,
  type ReplayBlock,
} from "@ds4/chat"
import { type StreamDecoder } from "@ds4/tokenizer"
import { ApiError } from "../http/api-error.ts"
import {
  coalesce,
  type Finish,
  type LogprobLists,
  type OpeningUsage,
  type Outcome,
  type OutputBatch,
  type TokenLogprob,
} from "../answer/answer.ts"
import { randomId } from "../answer/random-id.ts"
import { type ActiveRequest, CancelReason } from "./request-registry.ts"
import type { ServedModel } from "./serving-state.ts"

export interface GenerationPlan {
  promptTokens: readonly number[]
  /** The prompt ends with an open thinking block. */
  isThinking: boolean
  /** Declared tools, as the model sees them; without any, nothing is read as a call. */
  toolNames: readonly string[]
  allowParallelCalls: boolean
  strictTools: boolean
  stopStrings: readonly string[]
  callIdPrefix: "call_" | "toolu_"
  maxTokens: number
  engine: Pick<
    GenerateRequest,
    | "sampling"
    | "logprobs"
    | "topLogprobs"
    | "toolZones"
    | "reasoningBudget"
    | "thinkCloseToken"
    | "sessionHint"
    | "shownAs"
  >
}

export interface GenerationTiming {
  /** After this long without output a "idle" step is given. */
  keepAliveMs: number
  /** Output of this many milliseconds is joined into one step. */
  frameIntervalMs: number
}

export type GenerationStep =
  | { type: "opening"; usage: OpeningUsage }
  | { type: "output"; batch: OutputBatch }
  | { type: "idle" }

/** How long an engine error may still become an HTTP status instead of an error frame. */
const EARLY_ERROR_MS = 50

export class Generation {
  private readonly parser: OutputParser
  private readonly decoder: StreamDecoder
  private readonly engineAbort = new AbortController()
  private readonly iterator: AsyncIterator<GenerateEvent>
  private pending: Promise<IteratorResult<GenerateEvent>>
  private opening: OpeningUsage | undefined
  private finish: Finish | undefined
  private readonly thinkClose: number | undefined
  private readonly sampled: number[] = []
  private reasoningTokens = 0
  private isReasoning: boolean
  private engineUsage = { prefillMs: 0, decodeMs: 0, cachedTokens: 0 }
  private lastStepMs = performance.now()
  private lastOutputMs = 0
  private firstTokenMs: number | undefined
  private startedMs: number | undefined
  private heldLogprobs: LogprobLists = { content: [], reasoning: [] }

  /** Starts the engine's job at once. */
  constructor(
    private readonly model: ServedModel,
    private readonly plan: GenerationPlan,
    private readonly active: ActiveRequest,
    private readonly timing: GenerationTiming,
  ) {
    this.isReasoning = plan.isThinking
    this.decoder = model.tokenizer.streamDecoder()
    this.parser = new OutputParser({
      thinking: plan.isThinking,
      tools: plan.toolNames.map((name) => ({ name })),
      stopStrings: plan.stopStrings,
      strictTools: plan.strictTools,
      newCallId: () => randomId(plan.callIdPrefix),
    })
    this.thinkClose = model.tokenizer.special.get("</think>")
    active.promptTokens = plan.promptTokens.length
    const { signal } = active.controller
    if (signal.aborted) this.engineAbort.abort(signal.reason)
    else
      signal.addEventListener("abort", () => this.engineAbort.abort(signal.reason), { once: true })
    const request: GenerateRequest = {
      ...plan.engine,
      promptTokens: plan.promptTokens,
      maxTokens: plan.maxTokens,
      signal: this.engineAbort.signal,
      stopTokens: [model.tokenizer.eos],
    }
    this.iterator = model.engine.generate(request)[Symbol.asyncIterator]()
    this.pending = this.next()
  }

  /** Waits a moment for an engine error, so that it still becomes an HTTP status. */
  async admit(): Promise<void> {
    await this.waitFor(EARLY_ERROR_MS)
  }

  /** Milliseconds from acceptance to the first token, if there was one. */
  get ttftMs(): number | undefined {
    return this.firstTokenMs
  }

  /** Milliseconds spent waiting for a session. */
  get queueMs(): number | undefined {
    return this.startedMs
  }

  /** Counts so far; complete once `steps` ended. */
  get outcome(): Outcome {
    const { cachedTokens, prefillMs, decodeMs } = this.engineUsage
    return {
      finish: this.finish ?? "stop",
      stopString: this.parser.result.stopString,
      usage: {
        promptTokens: this.plan.promptTokens.length,
        cachedTokens,
        completionTokens: this.sampled.length,
        reasoningTokens: this.reasoningTokens,
      },
      prefillMs,
      decodeMs,
    }
  }

  /**
   * Everything that happens, in order; "opening" is the first step that is not "idle". Throws
   * ApiError when the engine fails or the request is cancelled. Leaving the loop early cancels the
   * job.
   */
  async *steps(): AsyncGenerator<GenerationStep, void, undefined> {
    try {
      for (;;) {
        const result = await this.waitFor(
          this.timing.keepAliveMs - (performance.now() - this.lastStepMs),
        )
        if (result === undefined) {
          yield this.step({ type: "idle" })
          continue
        }
        if (result.done === true) break
        yield* this.stepsOf(result.value)
        this.pending = this.next()
        if (this.finish === undefined) await this.pace()
      }
    } finally {
      this.engineAbort.abort(new CancelReason("client", "the answer is no longer read"))
    }
    this.throwIfCancelled()
  }

  private next(): Promise<IteratorResult<GenerateEvent>> {
    const next = this.iterator.next()
    // The rejection is read by waitFor; nobody may be waiting at the moment it happens.
    next.catch(() => {})
    return next
  }

  private async waitFor(milliseconds: number): Promise<IteratorResult<GenerateEvent> | undefined> {
    const timeout = Promise.withResolvers<undefined>()
    const timer = setTimeout(() => timeout.resolve(undefined), Math.max(0, milliseconds))
    try {
      return await Promise.race([this.pending, timeout.promise])
    } catch (error) {
      this.throwIfCancelled()
      throw engineFailure(error)
    } finally {
      clearTimeout(timer)
    }
  }

  /**
   * Lets the engine gather more tokens, so that a fast model does not cost a frame for each of
   * them.
   */
  private async pace(): Promise<void> {
    const rest = this.timing.frameIntervalMs - (performance.now() - this.lastOutputMs)
    if (rest > 0) await Bun.sleep(rest)
  }

  private step(step: GenerationStep): GenerationStep {
    this.lastStepMs = performance.now()
    return step
  }

  private *stepsOf(event: GenerateEvent): Generator<GenerationStep> {
    if (event.type === "prefill") {
      this.active.phase = "prefill"
      this.active.processedTokens = event.processed
      this.engineUsage.cachedTokens = event.cached
    }
    if (this.opening === undefined) {
      this.startedMs = Date.now() - this.active.acceptedAtMs
      this.opening = {
        promptTokens: this.plan.promptTokens.length,
        cachedTokens: this.engineUsage.cachedTokens,
      }
      yield this.step({ type: "opening", usage: this.opening })
    }
    if (event.type === "tokens") yield* this.output(this.read(event.tokens))
    else if (event.type === "end") yield* this.output(this.end(event))
  }

  private *output(events: readonly OutputEvent[]): Generator<GenerationStep> {
    const hasLogprobs = this.heldLogprobs.content.length + this.heldLogprobs.reasoning.length > 0
    if (events.length === 0 && !hasLogprobs) return
    const logprobs = hasLogprobs ? this.heldLogprobs : undefined
    if (hasLogprobs) this.heldLogprobs = { content: [], reasoning: [] }
    this.lastOutputMs = performance.now()
    yield this.step({ type: "output", batch: { events: coalesce(events), logprobs } })
  }

  private read(tokens: readonly GeneratedToken[]): OutputEvent[] {
    const events: OutputEvent[] = []
    if (this.finish !== undefined) return events
    this.active.phase = "decode"
    this.firstTokenMs ??= Date.now() - this.active.acceptedAtMs
    for (const token of tokens) {
      this.sampled.push(token.id)
      if (token.logprob !== undefined) this.holdLogprob(token)
      if (this.isReasoning) this.reasoningTokens++
      if (token.id === this.thinkClose) this.isReasoning = false
      const arrived = this.parser.push(this.decoder.push(token.id))
      const last = this.plan.allowParallelCalls
        ? -1
        : arrived.findIndex((event) => event.type === "tool-call-end")
      for (const event of last < 0 ? arrived : arrived.slice(0, last + 1)) {
        if (event.type !== "reasoning") this.isReasoning = false
        events.push(event)
      }
      if (last >= 0) this.complete("tool-calls")
      else if (this.parser.isDone) this.complete(finishOf(this.parser.result))
      if (this.finish !== undefined) break
    }
    this.active.outputTokens = this.sampled.length
    return events
  }

  /** Ends the answer, whatever the model would write next. */
  private complete(finish: Finish): void {
    this.finish = finish
    this.engineAbort.abort(ANSWER_COMPLETE)
  }

  private end(event: Extract<GenerateEvent, { type: "end" }>): OutputEvent[] {
    const { prefillMs, decodeMs, cachedTokens } = event.usage
    this.engineUsage = { prefillMs, decodeMs, cachedTokens }
    if (this.finish !== undefined) return []
    if (event.reason === "cancelled") return []
    const isCut = event.reason === "length" || event.reason === "context"
    const events = [
      ...this.parser.push(this.decoder.flush()),
      ...this.parser.end(isCut ? "cut" : "stop"),
    ]
    this.finish = finishOf(this.parser.result)
    return events
  }

  private holdLogprob(token: GeneratedToken): void {
    const list = this.isReasoning ? this.heldLogprobs.reasoning : this.heldLogprobs.content
    list.push({
      ...this.tokenLogprob(token.id, token.logprob ?? 0),
      top_logprobs: (token.top ?? []).map((top) => this.tokenLogprob(top.id, top.logprob)),
    })
  }

  private tokenLogprob(id: number, logprob: number): Omit<TokenLogprob, "top_logprobs"> {
    const bytes = this.model.tokenizer.tokenBytes(id)
    return { token: Buffer.from(bytes).toString("utf8"), logprob, bytes: [...bytes] }
  }

  /** The sampled call block with its tokens, so that the same calls can be replayed exactly. */
  get sampledBlock(): { calls: readonly ParsedCall[]; block: ReplayBlock } | undefined {
    const { calls, block } = this.parser.result
    if (block === undefined || calls.length === 0) return undefined
    const aligned = alignBlock(this.model.tokenizer, this.sampled, block)
    return aligned === undefined ? undefined : { calls, block: { ...aligned, calls } }
  }

  /** Cancels the job if it still runs. */
  dispose(): void {
    this.engineAbort.abort(ANSWER_COMPLETE)
    // The engine ends the job at its next step; nobody waits for that.
    void this.iterator.return?.().catch(() => {})
  }

  private throwIfCancelled(): void {
    const { signal } = this.active.controller
    if (signal.aborted && this.finish === undefined) throw cancelError(signal.reason)
  }
}

const ANSWER_COMPLETE = new Error("the answer is complete")

function finishOf(result: OutputParser["result"]): Finish {
  if (result.finish === "tool_calls") return "tool-calls"
  if (result.stopString !== undefined) return "stop-string"
  return result.finish
}

/** The error of a cancelled request. */
export function cancelError(reason: unknown): ApiError {
  if (reason instanceof CancelReason && reason.by === "client")
    return new ApiError("CLIENT_GONE", reason.message)
  return new ApiError(
    "CANCELLED",
    reason instanceof Error ? reason.message : "the request was cancelled",
    { reason: "cancelled" },
  )
}

function engineFailure(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (!(error instanceof EngineError)) {
    return new ApiError("INTERNAL", error instanceof Error ? error.message : String(error), {
      cause: error,
    })
  }
  switch (error.code) {
    case "BUSY":
      return new ApiError("RATE_LIMITED", error.message, {
        reason: "queue_full",
        headers: { "retry-after": "5" },
        cause: error,
      })
    case "ARGUMENT":
      return new ApiError("INVALID_REQUEST", error.message, { cause: error })
    case "CONTEXT_FULL":
      return new ApiError("CONTEXT_LENGTH", error.message, {
        reason: "context_length_exceeded",
        cause: error,
      })
    case "CANCELLED":
      return new ApiError("CANCELLED", error.message, { reason: "cancelled", cause: error })
    default:
      return new ApiError("INTERNAL", error.message, { cause: error })
  }
}
