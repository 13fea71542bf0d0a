// The one fake engine, for tests of what stands above an engine: it answers with scripted text and
// keeps every rule of the real one for requests, queueing, session reuse, stop conditions, logprobs
// and cancellation.
import type { Tokenizer } from "@ds4/tokenizer"
import { checkRequest } from "../check-request.ts"
import { SessionPool } from "../session-pool.ts"
import { Transcript } from "../transcript.ts"
import type { EngineModel, GenerateEvent, GenerateRequest, InferenceEngine } from "../types.ts"
import { Answer } from "./scripted-answer.ts"

/**
 * What the model would write. Control strings in `text` are their tokens; after it comes the end
 * token.
 */
export type FakeScript =
  | string
  | { readonly text?: string; readonly tokens?: readonly number[]; readonly error?: Error }

export interface FakeEngineOptions {
  readonly tokenizer: Tokenizer
  /**
   * An error that it throws, or that its result carries after text, is the engine's failure at that
   * point.
   */
  readonly script: (request: GenerateRequest) => FakeScript | Promise<FakeScript>
  readonly model?: Partial<EngineModel>
  readonly maxSessions?: number
  readonly maxQueue?: number
  /** Time of the prompt, default 0. */
  readonly prefillMs?: number
  /** Time before each batch, default 0: the event loop still gets its turn. */
  readonly batchMs?: number
  /** Tokens of one event, default 1. */
  readonly batchTokens?: number
}

export interface FakeEngine extends InferenceEngine {
  /** Every request that was admitted to the queue, in order. */
  readonly requests: readonly GenerateRequest[]
  /** The requests that were cancelled or left early before their end. */
  readonly cancelled: readonly GenerateRequest[]
  readonly isClosed: boolean
}

const session = { reset: (): void => {}, close: (): void => {} }

/** Resolves after the time, or at once when the signal aborts. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, milliseconds)
  const wake = (): void => resolve()
  signal.addEventListener("abort", wake, { once: true })
  await promise
  clearTimeout(timer)
  signal.removeEventListener("abort", wake)
}

class ScriptedEngine implements FakeEngine {
  readonly model: EngineModel
  readonly requests: GenerateRequest[] = []
  readonly cancelled: GenerateRequest[] = []
  private readonly pool: SessionPool<typeof session>
  private readonly closing = new AbortController()

  constructor(private readonly options: FakeEngineOptions) {
    this.model = {
      name: "fake",
      vocab: options.tokenizer.vocab,
      contextTokens: 4096,
      longestContextTokens: 1_048_576,
      path: "fake",
      description: "scripted answers",
      isDemo: false,
      ...options.model,
    }
    this.pool = new SessionPool({
      open: () => session,
      maxSessions: options.maxSessions ?? 4,
      maxQueue: options.maxQueue ?? 64,
    })
  }

  get isClosed(): boolean {
    return this.closing.signal.aborted
  }

  readonly stats = () => ({
    running: this.pool.running,
    queued: this.pool.queued,
    sessions: this.pool.sessions,
  })

  async *generate(request: GenerateRequest): AsyncGenerator<GenerateEvent, void, undefined> {
    const job = checkRequest(request, this.model, this.options.tokenizer.eos)
    const signal =
      request.signal === undefined
        ? this.closing.signal
        : AbortSignal.any([request.signal, this.closing.signal])
    const acquired = this.pool.acquire(job.prompt, request.sessionHint, signal)
    this.requests.push(request)
    const lease = await acquired
    const total = job.prompt.length
    const live = new Transcript(
      lease ?? { heldTokens: [], cachedTokens: 0 },
      job.prompt,
      request.shownAs,
    )
    const giveBack = (): void =>
      lease?.release(live.heldUpTo(live.length), live.shownUpTo(live.length))
    let generated = 0
    let hasEnded = false
    const begin = performance.now()
    let decodeBegin = begin
    const end = (
      fields: Omit<Extract<GenerateEvent, { type: "end" }>, "type" | "usage">,
    ): GenerateEvent => {
      hasEnded = fields.reason !== "cancelled"
      const usage = {
        promptTokens: total,
        cachedTokens: lease?.cachedTokens ?? 0,
        generatedTokens: generated,
        prefillMs: decodeBegin - begin,
        decodeMs: performance.now() - decodeBegin,
      }
      return { type: "end", ...fields, usage }
    }
    try {
      if (lease === undefined) {
        yield end({ reason: "cancelled" })
        return
      }
      const cached = lease.cachedTokens
      yield { type: "prefill", processed: cached, total, cached }
      const script = await this.options.script(request)
      await pause(this.options.prefillMs ?? 0, signal)
      if (!signal.aborted) yield { type: "prefill", processed: total, total, cached }
      decodeBegin = performance.now()
      const answer = new Answer(
        this.options.tokenizer,
        job,
        this.tokensOf(script),
        this.model.contextTokens,
      )
      while (!signal.aborted) {
        await pause(this.options.batchMs ?? 0, signal)
        if (signal.aborted) break
        const tokens = answer.take(this.options.batchTokens ?? 1)
        for (const { id } of tokens) live.push(id)
        generated += tokens.length
        if (tokens.length > 0) yield { type: "tokens", tokens }
        if (answer.isExhausted && typeof script !== "string" && script.error !== undefined)
          throw script.error
        if (answer.end !== undefined) {
          const fields = answer.end
          hasEnded = true
          giveBack()
          yield end(fields)
          return
        }
      }
      yield end({ reason: "cancelled" })
    } finally {
      if (!hasEnded) this.cancelled.push(request)
      giveBack()
    }
  }

  private tokensOf(script: FakeScript): readonly number[] {
    if (typeof script !== "string" && script.tokens !== undefined) return script.tokens
    const text = typeof script === "string" ? script : (script.text ?? "")
    return this.options.tokenizer.encodeSegments([{ text, control: true }])
  }

  async close(): Promise<void> {
    this.pool.refuse()
    this.closing.abort()
    while (this.pool.running > 0) await Bun.sleep(1)
    this.pool.close()
  }
}

export const fakeEngine = (options: FakeEngineOptions): FakeEngine => new ScriptedEngine(options)
