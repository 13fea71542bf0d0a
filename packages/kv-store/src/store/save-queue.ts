import { saveCheckpoint, type SaveResult } from "./save-checkpoint.ts"
import type { SaveRequest, StateSource } from "./save-plan.ts"
import type { StoreContext } from "./store-context.ts"

/** Saves that run at once. */
const IN_FLIGHT = 2
/** How long saving pauses after the disk failed. */
const PAUSE_MS = 60_000

/** Runs saves in their order, two at once, and pauses when the disk fails. */
export class SaveQueue {
  private running = 0
  private readonly waiting: (() => void)[] = []
  private readonly idleWaiters: (() => void)[] = []
  private pauseEnd: number | undefined

  constructor(private readonly store: StoreContext) {}

  /** Saves that run or wait. */
  get pending(): number {
    return this.running + this.waiting.length
  }

  /** Unix milliseconds. */
  get pausedUntil(): number | undefined {
    const { pauseEnd } = this
    if (pauseEnd === undefined) return undefined
    const left = pauseEnd - this.store.now()
    // More than the whole pause is left: the clock went back.
    if (left > 0 && left <= PAUSE_MS) return pauseEnd
    this.pauseEnd = undefined
    return undefined
  }

  async save(state: StateSource, request: SaveRequest): Promise<SaveResult> {
    if (this.running >= IN_FLIGHT)
      await new Promise<void>((resolve) => void this.waiting.push(resolve))
    else this.running++
    try {
      return this.note(await this.saveNow(state, request))
    } finally {
      const next = this.waiting.shift()
      if (next === undefined) this.running--
      else next() // it takes this one's place
      if (this.pending === 0) for (const resolve of this.idleWaiters.splice(0)) resolve()
    }
  }

  private saveNow(state: StateSource, request: SaveRequest): Promise<SaveResult> | SaveResult {
    if (this.pausedUntil === undefined) return saveCheckpoint(this.store, state, request)
    return { saved: false, reason: "paused", message: "the disk failed less than a minute ago" }
  }

  private note(result: SaveResult): SaveResult {
    if (result.saved) return result
    this.store.counts.refusals++
    if (result.reason === "no-space" || result.reason === "failed") {
      const isFirst = this.pausedUntil === undefined
      this.pauseEnd = this.store.now() + PAUSE_MS
      if (isFirst)
        this.store.log(`kv store: a save failed, saving pauses for a minute: ${result.message}`)
    }
    return result
  }

  /** Resolves when no save runs or waits. */
  async idle(): Promise<void> {
    if (this.pending > 0) await new Promise<void>((resolve) => void this.idleWaiters.push(resolve))
  }
}
