// Admits requests to sessions. A session begins with the longest beginning of its prompt that the
// prefix cache has. It is closed after the request; its marks stay in the cache. A request waits
// for a running one that will soon leave it a longer beginning.
import { EngineError } from "./errors.ts"
import type { CachedMark, PrefixCache } from "./prefix-cache/prefix-cache.ts"
import { planMarks } from "./prefix-cache/plan-marks.ts"
import { commonLength } from "./prefix-cache/prefix-tree.ts"

/** The part of a session that the pool uses. */
interface PooledSession {
  close(): void
}

/** A session that one generation has acquired. */
export interface Lease<S extends PooledSession, M extends CachedMark> {
  readonly session: S
  /** Number of leading tokens of the prompt that the session already holds. */
  readonly cachedTokens: number
  /** All ids that the session holds: more than those where the prompt leaves something out. */
  readonly heldTokens: Int32Array
  /** Tokens of the prompt behind which the session is to be marked, ascending. */
  readonly promptMarks: readonly number[]
  /** Announces that the session will soon be released with a mark behind these tokens. */
  settling(tokenLists: readonly Int32Array[]): void
  /** Gives a mark of the session to the cache. `shown`: lists that stand for the held one. */
  keep(mark: M, held: Int32Array, shown: readonly Int32Array[]): void
  /** Closes the session. Idempotent. */
  release(): void
}

interface PoolOptions<S extends PooledSession, M extends CachedMark> {
  /** Opens a session that begins with a mark, or an empty one. */
  readonly open: (mark: M | undefined) => S
  readonly cache: PrefixCache<M>
  /** Requests that run at once. */
  readonly maxSessions: number
  readonly maxQueue: number
}

/** A request for a session. */
interface Wish {
  readonly prompt: Int32Array
  /** Requests of one conversation give the same one. */
  readonly hint?: string | undefined
  /** Offsets of the prompt where messages begin. */
  readonly messageBegins?: readonly number[] | undefined
}

interface Waiter<S extends PooledSession, M extends CachedMark> {
  readonly wish: Wish
  readonly resolve: (lease: Lease<S, M>) => void
  readonly reject: (error: Error) => void
}

/** A token list; a running request will leave marks behind its first tokens, so many each. */
interface Coming {
  readonly tokens: Int32Array
  readonly ends: readonly number[]
}

interface Running {
  isSettling: boolean
  coming: readonly Coming[]
}

/** So many tokens less to read are worth waiting for a request that reads its prompt. */
const MIN_AWAITED_TOKENS = 256

export class SessionPool<S extends PooledSession, M extends CachedMark> {
  private readonly leases = new Map<Lease<S, M>, Running>()
  private readonly queue: Waiter<S, M>[] = []
  private isClosed = false

  constructor(private readonly options: PoolOptions<S, M>) {}

  get queued(): number {
    return this.queue.length
  }
  /** Requests whose end is not known yet. */
  get running(): number {
    return [...this.leases.values()].filter(({ isSettling }) => !isSettling).length
  }

  /**
   * @returns undefined if the signal aborted while waiting
   * @throws EngineError BUSY when too many wait already, or what opening a session throws
   */
  async acquire(wish: Wish, signal?: AbortSignal): Promise<Lease<S, M> | undefined> {
    if (this.isClosed) throw new EngineError("CANCELLED", "the engine has been closed")
    if (signal?.aborted === true) return undefined
    const { promise, resolve, reject } = Promise.withResolvers<Lease<S, M> | undefined>()
    const waiter: Waiter<S, M> = { wish, resolve, reject }
    this.queue.push(waiter)
    this.serveQueue()
    if (!this.queue.includes(waiter)) return await promise
    if (this.queue.length > this.options.maxQueue) {
      this.queue.pop()
      throw this.busy()
    }
    const leave = (): void => {
      const index = this.queue.indexOf(waiter)
      if (index < 0) return
      this.queue.splice(index, 1)
      resolve(undefined)
    }
    signal?.addEventListener("abort", leave, { once: true })
    try {
      return await promise
    } finally {
      signal?.removeEventListener("abort", leave)
    }
  }

  private busy(): EngineError {
    const { maxSessions, maxQueue } = this.options
    return new EngineError(
      "BUSY",
      `all ${maxSessions} sessions are in use and ${maxQueue} requests wait already; try again ` +
        `later`,
    )
  }

  /** Serves requests in order of arrival, past those that wait for a beginning. */
  private serveQueue(): void {
    for (const waiter of this.queue.slice()) {
      if (this.leases.size >= this.options.maxSessions) return
      if (!this.queue.includes(waiter)) continue
      const { wish, resolve, reject } = waiter
      const cached = this.options.cache.find(wish.prompt, wish.hint)?.length ?? 0
      if (this.mustWait(wish.prompt, cached)) continue
      this.queue.splice(this.queue.indexOf(waiter), 1)
      try {
        resolve(this.lease(wish))
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)))
      }
    }
  }

  /** Whether a running request will leave a mark that spares much of this prompt. */
  private mustWait(prompt: Int32Array, cached: number): boolean {
    for (const { coming, isSettling } of this.leases.values())
      for (const { tokens, ends } of coming) {
        const common = Math.min(commonLength(tokens, 0, prompt, 0), prompt.length - 1)
        const end = ends.findLast((each) => each <= common) ?? 0
        if (end - cached >= (isSettling ? 1 : MIN_AWAITED_TOKENS)) return true
      }
    return false
  }

  private lease({ prompt, hint, messageBegins = [] }: Wish): Lease<S, M> {
    const { cache } = this.options
    const found = cache.find(prompt, hint)
    const session = this.open(found?.mark)
    cache.record(found)
    const cachedTokens = found?.length ?? 0
    const promptMarks = planMarks(messageBegins, cachedTokens, prompt.length)
    const coming = [{ tokens: prompt, ends: promptMarks }]
    const running: Running = { isSettling: false, coming }
    const lease: Lease<S, M> = {
      session,
      cachedTokens,
      heldTokens: found?.held ?? new Int32Array(),
      promptMarks,
      settling: (tokenLists) => {
        running.isSettling = true
        running.coming = tokenLists.map((tokens) => ({ tokens, ends: [tokens.length] }))
      },
      keep: (mark, held, shown) => {
        cache.add({ mark, held, shown, hint })
        if (!this.isClosed) this.serveQueue()
      },
      release: () => {
        if (!this.leases.delete(lease)) return
        session.close()
        if (!this.isClosed) this.serveQueue()
      },
    }
    this.leases.set(lease, running)
    return lease
  }

  /** Without memory for a session everything else in the cache goes. */
  private open(mark: M | undefined): S {
    const { open, cache } = this.options
    try {
      return open(mark)
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== "DEVICE_MEMORY") throw error
      cache.clear(mark)
      return open(mark)
    }
  }

  /** Rejects waiting requests and every later one, and empties the cache. */
  close(): void {
    this.refuse()
    this.options.cache.clear()
  }

  /** Rejects waiting requests and every later one. */
  refuse(): void {
    this.isClosed = true
    for (const { reject } of this.queue.splice(0))
      reject(new EngineError("CANCELLED", "the engine has been closed"))
  }
}
