// States of sessions on disk: which are saved, and which come back for a prompt. It never fails a
// request: what cannot be saved or loaded is read again.
import {
  compatibilityOf,
  KvStore,
  KvStoreError,
  type KvStoreErrorCode,
  type SaveResult,
  type StoreStats,
} from "@ds4/kv-store"
import { EngineError } from "../errors.ts"
import type { SavedAs } from "./kv-files.ts"
import { Worth } from "./worth.ts"

/** The part of a mark that is saved. */
export interface SavedMark {
  readonly position: number
  readonly bytes: number
  readonly regionBytes: readonly number[]
  readonly tokens: Int32Array
  readRegion(region: number): Uint8Array
  share(): SavedMark
  close(): void
}

/** A state that may be worth saving. */
interface Candidate<M extends SavedMark> {
  readonly mark: M
  /** The tokens of the state, and the list by which later prompts show them. */
  readonly held: Int32Array
  readonly shown: Int32Array
  /**
   * anchor: the end of the first message with its tools. turn: the end of an answer. interval: a
   * place in a long prompt.
   */
  readonly reason: "anchor" | "turn" | "interval"
  /** A few words of the conversation. The anchor is shared by others, and goes without. */
  readonly preview?: string | undefined
}

/** Folder and limits of the states on disk. */
export interface KvDiskOptions {
  /** It is made if it is not there, for this user alone. */
  readonly folder: string
  /** Most bytes of all files. */
  readonly budgetBytes: number
  /** Bytes of the disk that stay free; default 5 GiB. */
  readonly minimumFreeBytes?: number
  /** States that spare less reading than so many seconds are not saved; default 0.5. */
  readonly leastSeconds?: number
  /** A folder that cannot be used is told, and states are not kept; else opening fails. */
  readonly isOptional?: boolean
  /** Told of problems, a line each. Nothing of a conversation is in them. */
  readonly log?: (line: string) => void
}

interface CheckpointParts<M extends SavedMark> {
  /** Region 0 of any snapshot of the engine. */
  readonly header: Uint8Array
  /** A hash of the vocabulary. */
  readonly tokenizer: string
  readonly model: string
  readonly bytesPerToken: number
  readonly importMark: (chunks: AsyncIterable<Uint8Array>) => Promise<M>
  /** Takes a state over that has been loaded for prompts that begin with `shown`. */
  readonly keep: (mark: M, shown: Int32Array) => void
}

/** So many tokens of a long prompt are read again at most after a crash. */
const INTERVAL_TOKENS = 8192
const MOST_TRIES = 4
/** After these the store no longer finds the state, and a shorter one may be there. */
const DROPPED: ReadonlySet<KvStoreErrorCode> = new Set([
  "DAMAGED",
  "MISSING",
  "MISMATCH",
  "INCOMPATIBLE",
])

export class Checkpoints<M extends SavedMark> {
  private readonly loading = new Map<string, Promise<boolean>>()
  /** Saves, and loads by name. */
  private readonly working = new Set<Promise<unknown>>()
  private isClosed = false

  private constructor(
    private readonly store: KvStore,
    private readonly parts: CheckpointParts<M>,
    readonly worth: Worth,
    private readonly log: (line: string) => void,
  ) {}

  /**
   * @returns undefined for a folder that cannot be used and is optional
   * @throws EngineError ARGUMENT for another one
   */
  static async open<M extends SavedMark>(
    options: KvDiskOptions,
    parts: CheckpointParts<M>,
  ): Promise<Checkpoints<M> | undefined> {
    const worth = new Worth(options.leastSeconds)
    const log = options.log ?? (() => {})
    try {
      const store = await KvStore.open({
        ...options,
        log,
        compatibility: compatibilityOf(parts.header, parts.tokenizer),
        prefillTokensPerSecond: () => worth.prefill.perSecond,
      })
      return new Checkpoints(store, parts, worth, log)
    } catch (error) {
      if (options.isOptional === true) {
        log(`states are not kept on disk: ${messageOf(error)}`)
        return undefined
      }
      if (!(error instanceof KvStoreError)) throw error
      throw new EngineError("ARGUMENT", `the folder for saved states: ${error.message}`)
    }
  }

  get stats(): StoreStats {
    return this.store.stats
  }

  /** For commands and interfaces that list, verify and remove. */
  get files(): KvStore {
    return this.store
  }

  /**
   * Loads the state of the longest saved beginning of the prompt, if that spares enough reading.
   * Requests that want the same one at once share its loading.
   *
   * @param above tokens that need no reading as it is
   * @returns tokens of the prompt that a loaded state covers; 0: none was loaded
   */
  async restore(prompt: Int32Array, above: number): Promise<number> {
    for (let tries = 0; tries < MOST_TRIES && !this.isClosed; tries++) {
      const match = this.store.lookup(prompt, { above })
      if (match === undefined) return 0
      const { key, tokens, position } = match
      const bytes = position * this.parts.bytesPerToken
      if (!this.worth.isWorthLoading(tokens - above, bytes)) return 0
      const loading = this.loading.get(key) ?? this.load(key, prompt.slice(0, tokens), prompt)
      if (await loading) return tokens
    }
    return 0
  }

  private load(key: string, shown: Int32Array, prompt: Int32Array): Promise<boolean> {
    const work = this.import(key, shown, prompt).finally(() => this.loading.delete(key))
    this.loading.set(key, work)
    return work
  }

  /** False: look up again, the store has dropped it. */
  private async import(key: string, shown: Int32Array, prompt: Int32Array): Promise<boolean> {
    const begin = performance.now()
    try {
      using _ = this.store.pin(key)
      const mark = await this.parts.importMark(this.untilClosed(this.store.read(key, { prompt })))
      const seconds = (performance.now() - begin) / 1000
      this.worth.read.add(mark.bytes, seconds, 2 ** 20)
      this.parts.keep(mark, shown)
      return true
    } catch (error) {
      this.log(`a saved state was not loaded: ${messageOf(error)}`)
      // Else the store would give the same one again.
      return !(error instanceof KvStoreError && DROPPED.has(error.code))
    }
  }

  /** The engine closes as soon as nothing is being imported. */
  private async *untilClosed(
    chunks: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of chunks) {
      if (this.isClosed) throw new EngineError("CANCELLED", "the engine has been closed")
      yield chunk
    }
  }

  /** Closing waits for this work. */
  private async track<T>(work: Promise<T>): Promise<T> {
    this.working.add(work)
    try {
      return await work
    } finally {
      this.working.delete(work)
    }
  }

  /**
   * Loads a state, whether a prompt asks for it or not. Returns the tokens by which it is shown.
   *
   * @throws KvStoreError, EngineError
   */
  async loadByKey(key: string): Promise<number> {
    return await this.track(this.importByKey(key))
  }

  private async importByKey(key: string): Promise<number> {
    using _ = this.store.pin(key)
    const mark = await this.parts.importMark(this.untilClosed(this.store.read(key)))
    try {
      const shown = await this.store.shown(key, mark.tokens)
      this.parts.keep(mark, shown)
      return shown.length
    } catch (error) {
      mark.close()
      throw error
    }
  }

  /** Saves a state by hand: worth and measured rates do not count. @throws KvStoreError */
  async saveAs(
    mark: M,
    request: { readonly held: Int32Array; readonly shown: Int32Array } & SavedAs,
  ): Promise<SaveResult> {
    const named = { ...request, reason: "saved", model: this.parts.model }
    return await this.track(this.store.save(mark, named))
  }

  /** Saves the state in the background if that is worth it. */
  consider(candidate: Candidate<M>): void {
    if (this.isClosed) return
    const { held, shown, reason } = candidate
    // One token more, so that the state itself counts as saved already.
    const longer = new Int32Array(shown.length + 1).fill(-1)
    longer.set(shown)
    const fresh = shown.length - (this.store.lookup(longer)?.tokens ?? 0)
    if (fresh <= 0 || (reason === "interval" && fresh < INTERVAL_TOKENS)) return
    const newBytes = (candidate.mark.bytes * fresh) / Math.max(1, held.length)
    if (!this.worth.isWorthSaving(fresh, newBytes)) return
    void this.track(this.save(candidate))
  }

  private async save({ mark, held, shown, reason, preview }: Candidate<M>): Promise<void> {
    const own = mark.share()
    const begin = performance.now()
    try {
      const words = preview === undefined || reason === "anchor" ? {} : { preview }
      const request = { held, shown, reason, model: this.parts.model, ...words }
      const result = await this.store.save(own, request)
      const seconds = (performance.now() - begin) / 1000
      if (result.saved) this.worth.written.add(result.bytesWritten, seconds, 2 ** 20)
    } catch (error) {
      this.log(`a state was not saved: ${messageOf(error)}`)
    } finally {
      own.close()
    }
  }

  /** Ends loads, and waits for what is being saved. Idempotent. */
  async close(): Promise<void> {
    this.isClosed = true
    await Promise.allSettled([...this.working, ...this.loading.values()])
    await this.store.close()
  }
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)
