// Reads one answer at the pace of HTTP: frames are joined and silences noticed, and a failure
// becomes an API error. It knows no interface.
import type { AnswerEvent, AnswerOptions, AnswerStream, FinishEvent, Prompt } from "@ds4/chat"
import type { CacheReport } from "@ds4/engine"
import type { Tokenizer } from "@ds4/tokenizer"
import { cacheExplanation, type CacheExplanation } from "../answer/cache-explanation.ts"
import { detailOf, finishOf, type OpeningUsage, type Outcome } from "../answer/outcome.ts"
import { batchOf, type OutputBatch } from "../answer/output-batch.ts"
import { cancelError, engineFailure } from "./generation-error.ts"
import { type ActiveRequest, CancelReason } from "./request-registry.ts"
import type { ServedModel } from "./serving-state.ts"

export interface GenerationPlan {
  prompt: Prompt
  options: AnswerOptions
}

export interface GenerationTiming {
  /** After this long without output an "idle" step is given. */
  keepAliveMs: number
  /** Output of this many milliseconds is joined into one step. */
  frameIntervalMs: number
}

export type GenerationStep =
  | { type: "opening"; usage: OpeningUsage }
  | { type: "output"; batch: OutputBatch }
  | { type: "idle" }

/** The client asks where its prompt went on from; privately: others use the server too. */
export type CacheExplaining = "openly" | "privately"

type Batch = readonly AnswerEvent[]

/** How long an engine error may still become an HTTP status instead of an error frame. */
const EARLY_ERROR_MS = 50

export class Generation {
  private readonly answer: AnswerStream
  private readonly tokenizer: Tokenizer
  private readonly batches: AsyncIterator<Batch>
  private readonly ending = new AbortController()
  private pending: Promise<IteratorResult<Batch>>
  private isOpen = false
  private finish: FinishEvent | undefined
  private lastStepMs = performance.now()
  private lastOutputMs = 0
  private firstTokenMs: number | undefined
  private startedMs: number | undefined

  /**
   * Starts the engine's job at once.
   * @throws ContextOverflowError
   */
  constructor(
    { chat }: ServedModel,
    private readonly plan: GenerationPlan,
    private readonly active: ActiveRequest,
    private readonly timing: GenerationTiming,
    private readonly explains?: CacheExplaining,
  ) {
    const { prompt, options } = plan
    this.tokenizer = chat.tokenizer
    active.promptTokens = prompt.tokens.length
    const signal = AbortSignal.any([active.controller.signal, this.ending.signal])
    const explainCache = explains !== undefined
    this.answer = chat.start(prompt, { ...options, signal, explainCache })
    this.batches = this.answer.batches()
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
    const { prefillMs, decodeMs, cache: _report, ...usage } = this.answer.usage
    return {
      finish: finishOf(this.finish),
      detail: detailOf(this.finish),
      warnings: this.finish?.warnings ?? [],
      stopString: this.finish?.stopString,
      usage,
      cache: this.explained,
      prefillMs,
      decodeMs,
    }
  }

  /** The engine's report on the cache, once the answer has ended. */
  get cacheReport(): CacheReport | undefined {
    return this.answer.usage.cache
  }

  private get explained(): CacheExplanation | undefined {
    const { explains, answer, tokenizer } = this
    const { cache, cachedTokens } = answer.usage
    if (explains === undefined || cache === undefined) return undefined
    const { tokens } = this.plan.prompt
    return cacheExplanation(cache, { tokens, cachedTokens }, tokenizer, explains === "privately")
  }

  /**
   * Yields everything that happens, in order; "opening" is the first step that is not "idle".
   * Leaving the loop early cancels the job.
   * @throws ApiError when the engine fails or the request is cancelled
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
      this.ending.abort(new CancelReason("client", "the answer is no longer read"))
    }
    this.throwIfCancelled()
  }

  private next(): Promise<IteratorResult<Batch>> {
    const next = this.batches.next()
    // The rejection is read by waitFor; nobody may be waiting at the moment it happens.
    next.catch(() => {})
    return next
  }

  private async waitFor(milliseconds: number): Promise<IteratorResult<Batch> | undefined> {
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

  private *stepsOf(events: Batch): Generator<GenerationStep> {
    const last = events.at(-1)
    if (last?.type === "finish") {
      this.finish = last
      this.active.isComplete = last.reason !== "cancelled"
    }
    this.report()
    if (!this.isOpen) {
      this.isOpen = true
      const { promptTokens, cachedTokens } = this.answer.usage
      yield this.step({ type: "opening", usage: { promptTokens, cachedTokens } })
    }
    // Nobody is told the rest of an answer that was cancelled.
    const batch = this.finish?.reason === "cancelled" ? undefined : batchOf(events)
    if (batch === undefined) return
    this.lastOutputMs = performance.now()
    yield this.step({ type: "output", batch })
  }

  /** Shows in the registry how far the answer is. */
  private report(): void {
    const { active, answer } = this
    const elapsedMs = Date.now() - active.acceptedAtMs
    this.startedMs ??= elapsedMs
    const { completionTokens } = answer.usage
    if (completionTokens > 0) this.firstTokenMs ??= elapsedMs
    if (answer.phase !== "ended") active.phase = answer.phase
    active.processedTokens = answer.processedTokens
    active.outputTokens = completionTokens
  }

  /** Cancels the job if it still runs. */
  dispose(): void {
    this.ending.abort(new CancelReason("client", "the answer is complete"))
    // The engine ends the job at its next step; nobody waits for that.
    void this.batches.return?.().catch(() => {})
  }

  private throwIfCancelled(): void {
    const { signal } = this.active.controller
    const isEnded = this.finish !== undefined && this.finish.reason !== "cancelled"
    if (isEnded) return
    if (signal.aborted) throw cancelError(signal.reason)
    if (this.finish !== undefined) throw cancelError(new Error("the engine has been closed"))
  }
}
