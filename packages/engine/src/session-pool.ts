// Decides which session a request acquires. A session that holds a prefix of the prompt is
// continued; otherwise the least recently used one is evicted. Requests that find none free wait
// in order of arrival.
import { EngineError } from "./errors.ts"

/** The part of a session that the pool uses. */
interface PooledSession {
  reset(): void
  close(): void
}

interface Slot<S extends PooledSession> {
  readonly session: S
  /** Ids that the session holds, or will hold once it has settled. */
  tokens: readonly number[]
  /** Ids by which prompts show the held ones, where they leave something out. */
  shown: readonly number[] | undefined
  hint: string | undefined
  state: "free" | "busy" | "settling"
  /** Larger is later. */
  usedAt: number
}

/** A session that one generation has acquired. */
export interface Lease<S extends PooledSession> {
  readonly session: S
  /** Number of leading tokens of the prompt that the session already holds. */
  readonly cachedTokens: number
  /** All ids that the session holds: more than those where the prompt leaves something out. */
  readonly heldTokens: readonly number[]
  /**
   * Announces that the session will soon be released with these tokens, so that a request which
   * continues them waits for it.
   */
  settling(tokens: readonly number[], shown?: readonly number[]): void
  release(tokens: readonly number[], shown?: readonly number[]): void
  /** Releases the session with the tokens that it held when it was acquired. */
  releaseUnused(): void
}

interface PoolOptions<S extends PooledSession> {
  readonly open: () => S
  readonly maxSessions: number
  readonly maxQueue: number
  /** Context of one session in tokens. */
  readonly contextTokens?: number
}

interface Waiter<S extends PooledSession> {
  readonly prompt: readonly number[]
  readonly hint: string | undefined
  readonly resolve: (lease: Lease<S>) => void
  readonly reject: (error: Error) => void
}

export class SessionPool<S extends PooledSession> {
  private readonly slots: Slot<S>[] = []
  private readonly queue: Waiter<S>[] = []
  private clock = 0
  private isClosed = false

  constructor(private readonly options: PoolOptions<S>) {}

  get queued(): number {
    return this.queue.length
  }
  get sessions(): number {
    return this.slots.length
  }
  get running(): number {
    return this.slots.filter(({ state }) => state === "busy").length
  }

  /**
   * @returns undefined if the signal aborted while waiting
   * @throws EngineError BUSY when too many wait already, or what opening a session throws
   */
  async acquire(
    prompt: readonly number[],
    hint: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Lease<S> | undefined> {
    if (this.isClosed) throw new EngineError("CANCELLED", "the engine has been closed")
    if (signal?.aborted === true) return undefined
    const lease = this.queue.length === 0 ? this.pick(prompt, hint) : undefined
    if (lease !== undefined) return lease
    if (this.queue.length >= this.options.maxQueue) {
      const { maxSessions, maxQueue } = this.options
      throw new EngineError(
        "BUSY",
        `all ${maxSessions} sessions are in use and ${maxQueue} requests wait already; try ` +
          `again later`,
      )
    }
    return await this.wait(prompt, hint, signal)
  }

  private async wait(
    prompt: readonly number[],
    hint: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Lease<S> | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Lease<S> | undefined>()
    const waiter: Waiter<S> = { prompt, hint, resolve, reject }
    const leave = (): void => {
      const index = this.queue.indexOf(waiter)
      if (index < 0) return
      this.queue.splice(index, 1)
      resolve(undefined)
      this.serveQueue()
    }
    signal?.addEventListener("abort", leave, { once: true })
    this.queue.push(waiter)
    try {
      return await promise
    } finally {
      signal?.removeEventListener("abort", leave)
    }
  }

  private serveQueue(): void {
    for (;;) {
      const next = this.queue[0]
      if (next === undefined) return
      try {
        const lease = this.pick(next.prompt, next.hint)
        if (lease === undefined) return
        this.queue.shift()
        next.resolve(lease)
      } catch (error) {
        this.queue.shift()
        next.reject(error instanceof Error ? error : new Error(String(error)))
      }
    }
  }

  /** Leases the best free session; undefined if none is free, or a better one soon will be. */
  private pick(prompt: readonly number[], hint: string | undefined): Lease<S> | undefined {
    const beginnings = this.slots
      .filter(({ state }) => state !== "busy")
      .map((slot) => ({ slot, covered: this.coveredBy(slot, prompt) }))
    const continued = best(
      beginnings.filter(({ covered }) => covered > 0),
      ({ slot, covered }) => [covered, slot.hint === hint ? 1 : 0, slot.usedAt],
    )
    if (continued?.slot.state === "settling") return undefined
    if (continued !== undefined) return this.leaseOf(continued.slot, continued.covered, hint)
    const slot = this.emptySlot(hint)
    return slot === undefined ? undefined : this.leaseOf(slot, 0, hint)
  }

  /** Counts the leading tokens of the prompt that a session makes it unnecessary to process. */
  private coveredBy({ tokens, shown }: Slot<S>, prompt: readonly number[]): number {
    if (isPrefix(tokens, prompt)) return tokens.length
    if (shown === undefined || !isPrefix(shown, prompt)) return 0
    // Tokens that prompts leave out still take room: at most half of the answer's room is spent.
    const room = (this.options.contextTokens ?? Infinity) - prompt.length
    return tokens.length - shown.length <= room / 2 ? shown.length : 0
  }

  /**
   * Finds an empty session or evicts one: first the conversation's own old one, then a new one,
   * then the least recently used one.
   */
  private emptySlot(hint: string | undefined): Slot<S> | undefined {
    const free = this.slots.filter(({ state }) => state === "free")
    const own =
      hint === undefined
        ? undefined
        : best(
            free.filter((slot) => slot.hint === hint),
            (slot) => [-slot.usedAt],
          )
    const used =
      own ??
      best(
        free.filter(({ tokens }) => tokens.length === 0),
        () => [0],
      )
    if (used === undefined && this.slots.length < this.options.maxSessions) {
      const slot: Slot<S> = {
        session: this.options.open(),
        tokens: [],
        shown: undefined,
        hint,
        state: "free",
        usedAt: 0,
      }
      this.slots.push(slot)
      return slot
    }
    const slot = used ?? best(free, ({ usedAt }) => [-usedAt])
    if (slot !== undefined && slot.tokens.length > 0) evict(slot)
    return slot
  }

  private leaseOf(slot: Slot<S>, cachedTokens: number, hint: string | undefined): Lease<S> {
    slot.state = "busy"
    slot.hint = hint
    slot.usedAt = ++this.clock
    const { tokens: heldTokens, shown: shownTokens } = slot
    let isHeld = true
    const release = (tokens: readonly number[], shown?: readonly number[]): void => {
      if (!isHeld) return
      isHeld = false
      slot.state = "free"
      slot.tokens = tokens
      slot.shown = shown
      slot.usedAt = ++this.clock
      if (!this.isClosed) this.serveQueue()
    }
    return {
      session: slot.session,
      cachedTokens,
      heldTokens,
      settling: (tokens, shown) => {
        if (!isHeld) return
        slot.state = "settling"
        slot.tokens = tokens
        slot.shown = shown
      },
      release,
      releaseUnused: () => release(heldTokens, shownTokens),
    }
  }

  /** Rejects waiting requests and closes every session. All leases must have been released. */
  close(): void {
    this.refuse()
    for (const { session } of this.slots) session.close()
    this.slots.length = 0
  }

  /** Rejects waiting requests and every later one. */
  refuse(): void {
    this.isClosed = true
    for (const { reject } of this.queue.splice(0))
      reject(new EngineError("CANCELLED", "the engine has been closed"))
  }
}

/** Forgets what a session holds, so that another conversation can use it. */
function evict<S extends PooledSession>(slot: Slot<S>): void {
  slot.session.reset()
  slot.tokens = []
  slot.shown = undefined
}

/** True if `tokens` is a non-empty prefix of `prompt` and leaves at least one token to process. */
function isPrefix(tokens: readonly number[], prompt: readonly number[]): boolean {
  if (tokens.length === 0 || tokens.length >= prompt.length) return false
  for (let i = tokens.length - 1; i >= 0; i--) if (tokens[i] !== prompt[i]) return false
  return true
}

/** Returns the item with the largest ranks, compared in order; of equal items the first. */
function best<T>(items: readonly T[], ranks: (item: T) => readonly number[]): T | undefined {
  let winner: { item: T; ranks: readonly number[] } | undefined
  for (const item of items) {
    const mine = ranks(item)
    const current = winner
    const differing = mine.findIndex((rank, i) => rank !== current?.ranks[i])
    if (
      current === undefined ||
      (differing >= 0 && (mine[differing] ?? 0) > (current.ranks[differing] ?? 0))
    )
      winner = { item, ranks: mine }
  }
  return winner?.item
}
