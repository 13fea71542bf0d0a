// The engine as other packages use it: a loaded model with generations as async iterables.
// JavaScript never blocks here: the native scheduler wakes a promise, and a poll takes its output.
import { availableParallelism, totalmem } from "node:os"
import type { ModelFile } from "@ds4/model-file"
import type { Tokenizer } from "@ds4/tokenizer"
import { CacheInquiry, MUCH_TO_READ, TOLD_IDS } from "./cache-inquiry.ts"
import { checkRequest } from "./check-request.ts"
import { alreadyRead, cancelledWhileWaiting } from "./end-events.ts"
import { EMBEDDED_MODEL_NOTE } from "./embedded-model.ts"
import { invariant } from "./errors.ts"
import { logitsOf, type LogitsOptions, type LogitsRow } from "./logits.ts"
import { Generation, type GenerationParts } from "./generation.ts"
import { EngineHandle, type EngineDescription, type StepItem } from "./native/engine-handle.ts"
import { Job, type JobRequest } from "./native/job.ts"
import { NativeModel } from "./native/native-model.ts"
import { MarkHandle } from "./native/mark.ts"
import { SessionHandle } from "./native/session.ts"
import { KeepAlive } from "./native/wake-up.ts"
import { Checkpoints, type KvDiskOptions } from "./checkpoints/checkpoints.ts"
import { EngineFiles } from "./checkpoints/engine-files.ts"
import type { KvFiles } from "./checkpoints/kv-files.ts"
import { memoryAccount } from "./memory-account.ts"
import { PrefixCache } from "./prefix-cache/prefix-cache.ts"
import { promptToRead } from "./prompt-to-read.ts"
import { SessionPool } from "./session-pool.ts"
import { Transcript } from "./transcript.ts"
import type {
  EngineModel,
  EngineOptions,
  EngineStats,
  GenerateEvent,
  GenerateRequest,
  InferenceEngine,
} from "./types.ts"

/** The cache gives way to the prompt of a request and to so much of its answer. */
const ANSWER_ROOM_TOKENS = 4096
/** Recent rows and pages that are not full. */
const ROOM_BYTES = 64 * 2 ** 20

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
  private readonly kvBytesPerToken: number
  private readonly cache: PrefixCache<MarkHandle>
  private readonly pool: SessionPool<SessionHandle, MarkHandle>
  private checkpoints: Checkpoints<MarkHandle> | undefined
  private readonly keepAlive = new KeepAlive()
  private readonly closing = new AbortController()
  /** Generations that hold a session, until the session is back in the pool. */
  private readonly active = new Set<Promise<void>>()
  private closed: Promise<void> | undefined

  private constructor({ file, nativeModel, engine, isDemo, options }: Parts) {
    const { config } = file
    const contextTokens = contextTokensOf(file, options)
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
    const { kvBytesPerToken } = memoryAccount(description.memory)
    this.kvBytesPerToken = kvBytesPerToken
    this.cache = new PrefixCache({
      usedBytes: () => engine.cacheBytes,
      roomBytes: () => engine.cacheRoom,
      budgetBytes:
        options.cacheBytes ?? defaultCacheBytes(totalmem(), kvBytesPerToken * contextTokens),
      contextTokens,
    })
    this.pool = new SessionPool({
      open: (mark) => SessionHandle.open(engine, contextTokens, mark),
      cache: this.cache,
      maxSessions: options.maxSessions ?? DEFAULT_MAX_SESSIONS,
      maxQueue: options.maxQueue ?? DEFAULT_MAX_QUEUE,
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
        const vocabulary =
          tokenizer === undefined ? "" : engine.setVocabulary(tokenizer, file.config.vocab)
        const made = new NativeEngine({ file, nativeModel, engine, isDemo, options })
        if (options.kvDisk !== undefined) await made.openCheckpoints(options.kvDisk, vocabulary)
        return made
      } catch (error) {
        engine.close()
        throw error
      }
    } catch (error) {
      nativeModel.close()
      throw error
    }
  }

  private async openCheckpoints(options: KvDiskOptions, tokenizer: string): Promise<void> {
    using empty = SessionHandle.open(this.engine, 1)
    using mark = empty.mark()
    this.checkpoints = await Checkpoints.open(options, {
      header: mark.readRegion(0),
      tokenizer,
      model: this.model.name,
      bytesPerToken: this.kvBytesPerToken,
      importMark: (chunks) => MarkHandle.import(this.engine, chunks),
      keep: (loaded, shown) =>
        this.cache.add({ mark: loaded, held: loaded.tokens, shown: [shown], hint: undefined }),
    })
  }

  /** States on disk, where they are kept. */
  get kv(): KvFiles | undefined {
    const { checkpoints, pool } = this
    return checkpoints && new EngineFiles(checkpoints, (prompt) => pool.acquire({ prompt }))
  }

  /** The library's description of the engine: kernel set, threads, bytes mapped. */
  describe(): EngineDescription {
    return { ...this.engine.describe(), cores: availableParallelism() }
  }

  readonly stats = (): EngineStats => ({
    running: this.pool.running,
    queued: this.pool.queued,
    prefixCache: this.cache.stats,
    ...(this.checkpoints === undefined ? {} : { kvStore: this.checkpoints.stats }),
  })

  async *generate(request: GenerateRequest): AsyncGenerator<GenerateEvent, void, undefined> {
    const job = checkRequest(request, this.model, this.eos)
    const signal =
      request.signal === undefined
        ? this.closing.signal
        : AbortSignal.any([request.signal, this.closing.signal])
    using _ = this.keepAlive.hold()
    const tokens = Int32Array.from(job.prompt)
    const hint = request.sessionHint
    const known = this.cache.find(tokens, hint)?.length ?? 0
    const loadedTokens = (await this.checkpoints?.restore(tokens, known)) ?? 0
    const { messageBegins } = request
    const lease = await this.pool.acquire({ prompt: tokens, hint, messageBegins }, signal)
    if (lease === undefined) {
      yield cancelledWhileWaiting(job.prompt.length)
      return
    }
    const prompt = promptToRead(job)
    const { cachedTokens } = lease
    const isAsked = request.explainCache === true
    const inquiry = this.inquire(tokens, cachedTokens, loadedTokens, isAsked)
    if (isAsked) await inquiry.settled
    if (prompt.length <= cachedTokens) {
      lease.release()
      yield alreadyRead(job.prompt.length, cachedTokens, inquiry.report)
      return
    }
    const markOffsets = lease.promptMarks
      .map((offset) => offset - cachedTokens)
      .filter((offset) => offset < prompt.length - cachedTokens)
    const transcript = new Transcript(lease, prompt, request.shownAs)
    const generation = this.start(
      { ...job, prompt, markOffsets },
      { lease, transcript, inquiry, preview: request.preview },
    )
    yield* generation.events(signal, this.closing.signal)
  }

  /** Finds out where the prompt leaves what is known. */
  private inquire(
    prompt: Int32Array,
    cachedTokens: number,
    loadedTokens: number,
    isAsked: boolean,
  ): CacheInquiry {
    const files = this.checkpoints?.files
    const asksDisk = isAsked || prompt.length - cachedTokens > MUCH_TO_READ
    return new CacheInquiry({
      prompt,
      cachedTokens,
      loadedTokens,
      inMemory: this.cache.nearest(prompt, TOLD_IDS),
      explain: files !== undefined && asksDisk ? () => files.explain(prompt) : undefined,
    })
  }

  private start(
    request: JobRequest,
    parts: Pick<GenerationParts, "lease" | "transcript" | "inquiry" | "preview">,
  ): Generation {
    const { lease } = parts
    const promptTokens = request.prompt.length
    const rest = { ...request, prompt: request.prompt.slice(lease.cachedTokens) }
    const growth = rest.prompt.length + Math.min(request.maxTokens, ANSWER_ROOM_TOKENS)
    this.cache.makeRoom(growth * this.kvBytesPerToken + ROOM_BYTES)
    try {
      const job = new Job(this.engine, lease.session, rest)
      const onRetired = (settled: Promise<void>) => void this.track(settled)
      const { checkpoints } = this
      const onMemoryShort = (): void => this.cache.clear()
      const hooks = { onRetired, onMemoryShort, checkpoints }
      return new Generation({ ...parts, ...hooks, job, promptTokens })
    } catch (error) {
      lease.release()
      throw error
    }
  }

  /** Closing waits for this work. */
  private async track(settled: Promise<void>): Promise<void> {
    this.active.add(settled)
    try {
      await settled
    } finally {
      this.active.delete(settled)
    }
  }

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
   *
   * @param mark where it begins; else at position 0
   */
  openSession(contextTokens: number = this.model.contextTokens, mark?: MarkHandle): SessionHandle {
    return SessionHandle.open(this.engine, contextTokens, mark)
  }

  /**
   * The mark whose snapshot these bytes are, cut anywhere.
   *
   * @throws EngineError FORMAT, CONTEXT_FULL or DEVICE_MEMORY
   */
  async importMark(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<MarkHandle> {
    return await MarkHandle.import(this.engine, chunks)
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
    await this.checkpoints?.close()
    this.pool.close()
    this.engine.close()
    this.nativeModel.close()
  }
}

/** Memory for states: a share of the machine's, and room for two whole sessions at least. */
function defaultCacheBytes(memoryBytes: number, sessionBytes: number): number {
  return Math.floor(Math.min(memoryBytes / 2, Math.max(memoryBytes / 20, 2 * sessionBytes)))
}

function contextTokensOf({ config }: ModelFile, { contextTokens }: EngineOptions): number {
  return Math.min(contextTokens ?? config.contextTokens, config.contextTokens)
}

function describeModel({ config, format, files }: ModelFile): string {
  const gib = files.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 30
  return (
    `${config.layers} layers, ${config.experts} experts of which ${config.expertsPerToken} at a ` +
    `time, ${gib.toFixed(1)} GiB ${format}`
  )
}
