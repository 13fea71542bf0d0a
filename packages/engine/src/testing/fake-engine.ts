// The one fake engine, for tests of the layers above an engine. It answers with scripted text and
// keeps the real one's rules for requests, queueing, session reuse, stopping and cancellation.
import type { Tokenizer } from "@ds4/tokenizer"
import { CacheInquiry, TOLD_IDS } from "../cache-inquiry.ts"
import { checkRequest } from "../check-request.ts"
import { PrefixCache } from "../prefix-cache/prefix-cache.ts"
import { promptToRead } from "../prompt-to-read.ts"
import { type Lease, SessionPool } from "../session-pool.ts"
import { Transcript } from "../transcript.ts"
import type { JobRequest } from "../native/job.ts"
import type {
  EngineModel,
  EngineStats,
  GenerateEvent,
  GenerateRequest,
  InferenceEngine,
} from "../types.ts"
import { FakeFiles } from "./fake-files.ts"
import { Answer } from "./scripted-answer.ts"

/**
 * The text that the model would write, followed by the end token. Control strings in it are their
 * tokens.
 */
export type FakeScript =
  | string
  | { readonly text?: string; readonly tokens?: readonly number[]; readonly error?: Error }

export interface FakeEngineOptions {
  readonly tokenizer: Tokenizer
  /** An error that it throws, or that follows its text, is the engine's failure at that point. */
  readonly script: (request: GenerateRequest) => FakeScript | Promise<FakeScript>
  readonly model?: Partial<EngineModel>
  readonly maxSessions?: number
  readonly maxQueue?: number
  /** Duration of the prompt's processing, default 0. */
  readonly prefillMs?: number
  /** Pause before each batch, default 0: the event loop still gets its turn. */
  readonly batchMs?: number
  /** Tokens of one event, default 1. */
  readonly batchTokens?: number
  /** Keeps saved states, as an engine with a folder does. Default: not. */
  readonly hasDisk?: boolean
}

export interface FakeEngine extends InferenceEngine {
  /** Every request that was admitted to the queue, in order. */
  readonly requests: readonly GenerateRequest[]
  /** The requests that were cancelled or left early before their end. */
  readonly cancelled: readonly GenerateRequest[]
  readonly isClosed: boolean
  readonly kv: FakeFiles | undefined
}

const session = { close: (): void => {} }

/** A state of the fake: the number of its tokens. */
interface FakeMark {
  readonly position: number
  readonly ownBytes: number
  close(): void
}

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

/** Counts and times of one generation. */
class Run {
  hasEnded = false
  generatedTokens = 0
  private readonly beginMs = performance.now()
  private decodeBeginMs = this.beginMs

  constructor(
    private readonly promptTokens: number,
    readonly cachedTokens: number,
    private readonly inquiry: CacheInquiry,
  ) {}

  beginDecode(): void {
    this.decodeBeginMs = performance.now()
  }

  progress(processed: number): GenerateEvent {
    return { type: "prefill", processed, total: this.promptTokens, cached: this.cachedTokens }
  }

  end(fields: Omit<Extract<GenerateEvent, { type: "end" }>, "type" | "usage">): GenerateEvent {
    const { promptTokens, cachedTokens, generatedTokens, beginMs, decodeBeginMs } = this
    const prefillMs = decodeBeginMs - beginMs
    const decodeMs = performance.now() - decodeBeginMs
    const times = { prefillMs, decodeMs }
    const cache = this.inquiry.report
    const usage = { promptTokens, cachedTokens, generatedTokens, ...times, cache }
    return { type: "end", ...fields, usage }
  }
}

interface Turn {
  readonly request: GenerateRequest
  readonly job: JobRequest
  /** Tokens of the prompt that its session holds when it has been read. */
  readonly read: readonly number[]
  readonly signal: AbortSignal
  readonly run: Run
  readonly transcript: Transcript
  readonly lease: FakeLease
}

type FakeLease = Lease<typeof session, FakeMark>

const fakeMark = (position: number): FakeMark => ({ position, ownBytes: 1, close: () => {} })

/** Keeps a state behind the first `position` ids. */
function keep(lease: FakeLease, transcript: Transcript, position: number): void {
  lease.keep(fakeMark(position), transcript.heldUpTo(position), transcript.shownUpTo(position))
}

function release(lease: FakeLease, transcript: Transcript): void {
  if (transcript.length > 0) keep(lease, transcript, transcript.length)
  lease.release()
}

class ScriptedEngine implements FakeEngine {
  readonly model: EngineModel
  readonly requests: GenerateRequest[] = []
  readonly cancelled: GenerateRequest[] = []
  private readonly cache: PrefixCache<FakeMark>
  private readonly pool: SessionPool<typeof session, FakeMark>
  private readonly closing = new AbortController()
  readonly kv: FakeFiles | undefined

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
    this.cache = new PrefixCache({
      usedBytes: () => 0,
      roomBytes: () => Infinity,
      budgetBytes: 1,
      contextTokens: this.model.contextTokens,
    })
    this.pool = new SessionPool({
      open: () => session,
      cache: this.cache,
      maxSessions: options.maxSessions ?? 4,
      maxQueue: options.maxQueue ?? 64,
    })
    const { cache, pool } = this
    if (options.hasDisk === true)
      this.kv = new FakeFiles(
        (prompt) => pool.acquire({ prompt }),
        (held, shown) =>
          cache.add({ mark: fakeMark(held.length), held, shown: [shown], hint: undefined }),
      )
  }

  get isClosed(): boolean {
    return this.closing.signal.aborted
  }

  readonly stats = (): EngineStats => ({
    running: this.pool.running,
    queued: this.pool.queued,
    prefixCache: this.cache.stats,
    ...(this.kv === undefined ? {} : { kvStore: this.kv.stats }),
  })

  async *generate(request: GenerateRequest): AsyncGenerator<GenerateEvent, void, undefined> {
    const job = checkRequest(request, this.model, this.options.tokenizer.eos)
    const signal =
      request.signal === undefined
        ? this.closing.signal
        : AbortSignal.any([request.signal, this.closing.signal])
    const { sessionHint: hint, messageBegins } = request
    const prompt = Int32Array.from(job.prompt)
    const acquired = this.pool.acquire({ prompt, hint, messageBegins }, signal)
    this.requests.push(request)
    const lease = await acquired
    const cachedTokens = lease?.cachedTokens ?? 0
    const inquiry = new CacheInquiry({
      prompt,
      cachedTokens,
      loadedTokens: 0,
      inMemory: this.cache.nearest(prompt, TOLD_IDS),
      explain: undefined,
    })
    const run = new Run(job.prompt.length, cachedTokens, inquiry)
    if (lease === undefined) {
      this.cancelled.push(request)
      return yield run.end({ reason: "cancelled" })
    }
    const read = promptToRead(job)
    if (read.length <= lease.cachedTokens) {
      run.hasEnded = true
      lease.release()
      return yield run.end({ reason: "length" })
    }
    const transcript = new Transcript(lease, read, request.shownAs)
    try {
      yield* this.answer({ request, job, read, signal, run, transcript, lease })
      if (!run.hasEnded) yield run.end({ reason: "cancelled" })
    } finally {
      if (!run.hasEnded) this.cancelled.push(request)
      release(lease, transcript)
    }
  }

  /** Yields the scripted answer, until its end or until the signal aborts. */
  private async *answer(turn: Turn): AsyncGenerator<GenerateEvent, void, undefined> {
    const { request, job, read, signal, run, transcript, lease } = turn
    yield run.progress(run.cachedTokens)
    const script = await this.options.script(request)
    await pause(this.options.prefillMs ?? 0, signal)
    if (!signal.aborted) {
      for (const offset of lease.promptMarks)
        if (offset < read.length)
          keep(lease, transcript, transcript.length - (read.length - offset))
      yield run.progress(job.prompt.length)
    }
    run.beginDecode()
    const tokens = this.tokensOf(script)
    const answer = new Answer(this.options.tokenizer, job, tokens, this.model.contextTokens)
    while (!signal.aborted) {
      await pause(this.options.batchMs ?? 0, signal)
      if (signal.aborted) return
      const batch = answer.take(this.options.batchTokens ?? 1)
      for (const { id } of batch) transcript.push(id)
      run.generatedTokens += batch.length
      if (batch.length > 0) yield { type: "tokens", tokens: batch }
      if (answer.isExhausted && typeof script !== "string" && script.error !== undefined)
        throw script.error
      if (answer.end === undefined) continue
      run.hasEnded = true
      release(lease, transcript)
      return yield run.end(answer.end)
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
