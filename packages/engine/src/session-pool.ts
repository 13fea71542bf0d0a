// Which session a request gets. A session that holds a beginning of the prompt is continued;
// otherwise the one unused the longest starts afresh. Requests that find none free wait in order of
// arrival.
import { EngineError } from "./errors.ts"

/** What the pool needs of a session. */
export interface PooledSession {
  reset(): void
  close(): void
}

interface Slot<S extends PooledSession> {
  readonly session: S
  /** What the session holds, or will hold once it has settled. */
  tokens: readonly number[]
  /** How prompts show that, where they leave something out. */
  shown: readonly number[] | undefined
  hint: string | undefined
  state: "free" | "busy" | "settling"
  /** Larger is later. */
  usedAt: number
}

/** A session lent to one generation. */
export interface Lease<S extends PooledSession> {
  readonly session: S
  /** Tokens of the prompt that it holds already. */
  readonly cachedTokens: number
  /** Everything that it holds: more than those where the prompt leaves something out. */
  readonly heldTokens: readonly number[]
  /**
   * The answer is complete and the session about to be released with these tokens: worth waiting
   * for.
   */
  settling(tokens: readonly number[], shown?: readonly number[]): void
  release(tokens: readonly number[], shown?: readonly number[]): void
  /** Gives it back as it was lent. */
  returnUnused(): void
}

export interface PoolOptions<S extends PooledSession> {
  readonly open: () => S
  readonly maxSessions: number
  readonly maxQueue: number
  /** Of one session. */
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

  /** The best session that is free now; undefined if none is, or a better one is about to be. */
  private pick(prompt: readonly number[], hint: string | undefined): Lease<S> | undefined {
    const beginnings = this.slots
      .filter(({ state }) => state !== "busy")
      .map((slot) => ({ slot, covered: this.coveredBy(slot, prompt) }))
    const continued = best(
      beginnings.filter(({ covered }) => covered > 0),
      ({ slot, covered }) => [covered, slot.hint === hint ? 1 : 0, slot.usedAt],
    )
    if (continued?.slot.state === "settling") return undefined
    if (continued !== undefined) return this.lend(continued.slot, continued.covered, hint)
    const slot = this.fresh(hint)
    return slot === undefined ? undefined : this.lend(slot, 0, hint)
  }

  /** How many tokens of the prompt a session makes it unnecessary to read. */
  private coveredBy({ tokens, shown }: Slot<S>, prompt: readonly number[]): number {
    if (isBeginning(tokens, prompt)) return tokens.length
    if (shown === undefined || !isBeginning(shown, prompt)) return 0
    // what prompts leave out still takes room: no more than half of what the answer would have
    const room = (this.options.contextTokens ?? Infinity) - prompt.length
    return tokens.length - shown.length <= room / 2 ? shown.length : 0
  }

  /**
   * An empty session: the conversation's own old one, then a new one, then the one unused the
   * longest.
   */
  private fresh(hint: string | undefined): Slot<S> | undefined {
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
    if (slot !== undefined && slot.tokens.length > 0) {
      slot.session.reset()
      slot.tokens = []
      slot.shown = undefined
    }
    return slot
  }

  private lend(slot: Slot<S>, cachedTokens: number, hint: string | undefined): Lease<S> {
    slot.state = "busy"
    slot.hint = hint
    slot.usedAt = ++this.clock
    const { tokens: heldTokens, shown: shownTokens } = slot
    let isLent = true
    const release = (tokens: readonly number[], shown?: readonly number[]): void => {
      if (!isLent) return
      isLent = false
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
        if (!isLent) return
        slot.state = "settling"
        slot.tokens = tokens
        slot.shown = shown
      },
      release,
      returnUnused: () => release(heldTokens, shownTokens),
    }
  }

  /** Turns away who waits and closes every session. All leases must have been released. */
  close(): void {
    this.refuse()
    for (const { session } of this.slots) session.close()
    this.slots.length = 0
  }

  /** From now on nobody gets a session; who waits is turned away. */
  refuse(): void {
    this.isClosed = true
    for (const { reject } of this.queue.splice(0))
      reject(new EngineError("CANCELLED", "the engine has been closed"))
  }
}

/**
 * True if `tokens`, of which there are some, are a beginning of `prompt` and leave at least one
 * token to process.
 */
function isBeginning(tokens: readonly number[], prompt: readonly number[]): boolean {
  if (tokens.length === 0 || tokens.length >= prompt.length) return false
  for (let i = tokens.length - 1; i >= 0; i--) if (tokens[i] !== prompt[i]) return false
  return true
}

/** The item whose ranks are the largest, compared one after the other; the first of equals. */
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
