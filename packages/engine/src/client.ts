// What other packages use: an engine over a model, and generations as async iterables. JavaScript
// never blocks here: the native loop works, wakes a promise, and a poll drains what it made.
import { availableParallelism } from "node:os"
import type { ModelFile } from "@ds4/model-file"
import type { Tokenizer } from "@ds4/tokenizer"
import { checkRequest } from "./check-request.ts"
import { EMBEDDED_MODEL_NOTE } from "./embedded-model.ts"
import { invariant } from "./errors.ts"
import { logitsOf, type LogitsOptions, type LogitsRow } from "./logits.ts"
import { EngineHandle, type EngineDescription, type StepItem } from "./native/engine-handle.ts"
import { Job, type JobRequest } from "./native/job.ts"
import { NativeModel } from "./native/native-model.ts"
import { SessionHandle } from "./native/session.ts"
import { KeepAlive } from "./native/wake-up.ts"
import { type Lease, SessionPool } from "./session-pool.ts"
import { Transcript } from "./transcript.ts"
import type {
  EngineModel,
  EngineOptions,
  EngineStats,
  GenerateEvent,
  GenerateRequest,
  InferenceEngine,
  Usage,
} from "./types.ts"

const DEFAULT_MAX_SESSIONS = 4
const DEFAULT_MAX_QUEUE = 64

/** Intermediates of steps, for tests and dumps. */
export interface EngineTrace {
  enable(isEnabled: boolean): void
  /** Name to number of f32 values, of the last step. */
  names(): Map<string, number>
  read(name: string): Float32Array
}

interface Parts {
  readonly file: ModelFile
  readonly nativeModel: NativeModel
  readonly engine: EngineHandle
  readonly isDemo: boolean
  readonly options: EngineOptions
}

export class NativeEngine implements InferenceEngine {
  readonly model: EngineModel
  readonly trace: EngineTrace
  private readonly engine: EngineHandle
  private readonly nativeModel: NativeModel
  private readonly eos: number
  private readonly maxStepTokens: number
  private readonly pool: SessionPool<SessionHandle>
  private readonly keepAlive = new KeepAlive()
  private readonly closing = new AbortController()
  /** Generations that hold a session, until the session is back in the pool. */
  private readonly active = new Set<Promise<void>>()
  private closed: Promise<void> | undefined

  private constructor({ file, nativeModel, engine, isDemo, options }: Parts) {
    const { config } = file
    const contextTokens = Math.min(
      options.contextTokens ?? config.contextTokens,
      config.contextTokens,
    )
    this.engine = engine
    this.nativeModel = nativeModel
    this.eos = config.eosTokenId
    const description = engine.describe()
    this.maxStepTokens = Number(description.max_step_tokens)
    invariant(
      Number.isInteger(this.maxStepTokens) && this.maxStepTokens > 0,
      `max_step_tokens is ${String(description.max_step_tokens)}`,
    )
    this.model = {
      name: config.name,
      vocab: config.vocab,
      contextTokens,
      longestContextTokens: config.contextTokens,
      path: file.path,
      isDemo,
      description: isDemo ? EMBEDDED_MODEL_NOTE : describeModel(file),
    }
    this.trace = {
      enable: (isEnabled) => engine.setTracing(isEnabled),
      names: () => engine.traceNames(),
      read: (name) => engine.traceRead(name),
    }
    this.pool = new SessionPool({
      open: () => SessionHandle.open(engine, contextTokens),
      maxSessions: options.maxSessions ?? DEFAULT_MAX_SESSIONS,
      maxQueue: options.maxQueue ?? DEFAULT_MAX_QUEUE,
      contextTokens,
    })
  }

  /**
   * @param tokenizer without it stop strings and tool zones are refused
   * @throws EngineError
   */
  static async open(
    file: ModelFile,
    tokenizer: Tokenizer | undefined,
    options: EngineOptions,
    isDemo: boolean,
  ): Promise<NativeEngine> {
    const nativeModel = await NativeModel.open(file)
    try {
      const engine = await EngineHandle.open(nativeModel, options)
      try {
        if (tokenizer !== undefined) engine.setVocabulary(tokenizer, file.config.vocab)
        return new NativeEngine({ file, nativeModel, engine, isDemo, options })
      } catch (error) {
        engine.close()
        throw error
      }
    } catch (error) {
      nativeModel.close()
      throw error
    }
  }

  /** What the library says of the engine: kernel set, threads, bytes mapped. */
  describe(): EngineDescription {
    return { ...this.engine.describe(), cores: availableParallelism() }
  }

  readonly stats = (): EngineStats => ({
    running: this.pool.running,
    queued: this.pool.queued,
    sessions: this.pool.sessions,
  })

  async *generate(request: GenerateRequest): AsyncGenerator<GenerateEvent, void, undefined> {
    const job = checkRequest(request, this.model, this.eos)
    const signal =
      request.signal === undefined
        ? this.closing.signal
        : AbortSignal.any([request.signal, this.closing.signal])
    using _ = this.keepAlive.hold()
    const lease = await this.pool.acquire(job.prompt, request.sessionHint, signal)
    if (lease === undefined) {
      yield {
        type: "end",
        reason: "cancelled",
        usage: {
          promptTokens: job.prompt.length,
          cachedTokens: 0,
          generatedTokens: 0,
          prefillMs: 0,
          decodeMs: 0,
        },
      }
      return
    }
    yield* this.run(job, lease, new Transcript(lease, job.prompt, request.shownAs), signal)
  }

  private async *run(
    request: JobRequest,
    lease: Lease<SessionHandle>,
    live: Transcript,
    signal: AbortSignal,
  ): AsyncGenerator<GenerateEvent, void, undefined> {
    const cached = lease.cachedTokens
    const total = request.prompt.length
    let job: Job
    try {
      job = new Job(this.engine, lease.session, {
        ...request,
        prompt: request.prompt.slice(cached),
      })
    } catch (error) {
      lease.releaseUnused()
      throw error
    }
    const abort = (): void => {
      if (job.endReason === undefined && !this.retired.has(job)) job.cancel()
      job.wakeUp.notify()
    }
    // a consumer may never come back for the end: closing does not wait for it
    const leave = (): void => {
      this.retire(job, lease, live)
      job.wakeUp.notify()
    }
    signal.addEventListener("abort", abort)
    this.closing.signal.addEventListener("abort", leave)
    const usage = (): Usage => ({
      promptTokens: total,
      cachedTokens: cached,
      generatedTokens: job.state.generated,
      prefillMs: job.state.prefill_us / 1000,
      decodeMs: job.state.decode_us / 1000,
    })
    try {
      if (this.closing.signal.aborted) leave()
      else if (signal.aborted) abort()
      let processed = 0
      yield { type: "prefill", processed: cached, total, cached }
      for (;;) {
        if (!this.retired.has(job)) await job.wakeUp.wait()
        if (this.retired.has(job)) return yield { type: "end", reason: "cancelled", usage: usage() }
        const tokens = job.poll()
        for (const { id } of tokens) live.push(id)
        if (job.state.prompt_processed > processed) {
          processed = job.state.prompt_processed
          yield { type: "prefill", processed: cached + processed, total, cached }
        }
        if (tokens.length > 0) yield { type: "tokens", tokens }
        const failure = job.failure()
        if (failure !== undefined) throw failure
        const reason = signal.aborted ? (job.endReason ?? "cancelled") : job.endReason
        if (reason === undefined) continue
        const { stopString } = job
        const stopToken = job.state.stop_token
        // before the consumer sees the end it may send the next turn: that should find this session
        this.retire(job, lease, live)
        yield {
          type: "end",
          reason,
          usage: usage(),
          ...(stopToken < 0 ? {} : { stopToken }),
          ...(stopString === undefined ? {} : { stopString }),
        }
        return
      }
    } finally {
      signal.removeEventListener("abort", abort)
      this.closing.signal.removeEventListener("abort", leave)
      this.retire(job, lease, live)
    }
  }

  /** Ends a job in the background and gives its session back with what it holds. Idempotent. */
  private retire(job: Job, lease: Lease<SessionHandle>, live: Transcript): void {
    if (this.retired.has(job)) return
    this.retired.add(job)
    if (job.endReason === undefined && !job.isTerminal) job.cancel()
    else lease.settling(live.heldUpTo(live.length), live.shownUpTo(live.length))
    const settle = async (): Promise<void> => {
      for (const { id } of await job.finish()) live.push(id)
      // a cancelled or failed job's session holds fewer tokens than it produced
      const { position } = lease.session
      lease.release(live.heldUpTo(position), live.shownUpTo(position))
    }
    const settled = settle().finally(() => this.active.delete(settled))
    this.active.add(settled)
  }
  private readonly retired = new WeakSet<Job>()

  /** Logits of every position, or of the last one. Blocks: for command lines only. */
  logits(tokens: readonly number[], options: LogitsOptions): Generator<LogitsRow, void, undefined> {
    const { vocab, contextTokens } = this.model
    return logitsOf(
      { engine: this.engine, vocab, contextTokens, maxStepTokens: this.maxStepTokens },
      tokens,
      options,
    )
  }

  /**
   * A session outside the pool, for snapshots and single steps. The caller closes it before the
   * engine.
   */
  openSession(contextTokens: number = this.model.contextTokens): SessionHandle {
    return SessionHandle.open(this.engine, contextTokens)
  }

  /**
   * One step of several sessions of openSession; blocks. Returns the rows asked for, [rows, vocab]
   * f32 in item order.
   */
  step(items: readonly StepItem[]): Float32Array {
    const rows = items.reduce(
      (sum, item) =>
        sum + (item.rows === "ALL" ? item.tokens.length : item.rows === "LAST" ? 1 : 0),
      0,
    )
    const logits = new Float32Array(rows * this.model.vocab)
    this.engine.step(items, rows === 0 ? undefined : logits)
    return logits
  }

  async close(): Promise<void> {
    this.closed ??= this.shutDown()
    await this.closed
  }

  private async shutDown(): Promise<void> {
    using _ = this.keepAlive.hold()
    this.pool.refuse()
    this.closing.abort()
    while (this.pool.running > 0 || this.active.size > 0) {
      await Promise.all(this.active)
      await Bun.sleep(0)
    }
    this.pool.close()
    this.engine.close()
    this.nativeModel.close()
  }
}

function describeModel({ config, format, files }: ModelFile): string {
  const gib = files.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 30
  return (
    `${config.layers} layers, ${config.experts} experts of which ${config.expertsPerToken} at a ` +
    `time, ${gib.toFixed(1)} GiB ${format}`
  )
}
