// Finds out where a prompt leaves what is known, in memory at once and on disk a little later.
import type { Divergence } from "@ds4/kv-store"
import type { CacheReport, NearestPrefix } from "./types.ts"

/** Ids that are told of each side. */
export const TOLD_IDS = 8
/** A prompt of which more is to be read is looked for on disk, for the log. */
export const MUCH_TO_READ = 1000

interface Found {
  readonly prompt: Int32Array
  /** Tokens of the prompt that need no reading, and those that a state from disk covers. */
  readonly cachedTokens: number
  readonly loadedTokens: number
  /** The list in memory that shares most with the prompt. */
  readonly inMemory: { readonly shared: number; readonly next: readonly number[] }
  /** Looks on disk for the same; absent: nothing is kept there. */
  readonly explain: (() => Promise<Divergence | undefined>) | undefined
}

export class CacheInquiry {
  /** Resolves when the disk has been asked. */
  readonly settled: Promise<void>
  private readonly source: CacheReport["source"]
  private nearest: NearestPrefix | undefined

  constructor({ prompt, cachedTokens, loadedTokens, inMemory, explain }: Found) {
    this.source = cachedTokens === 0 ? "none" : cachedTokens === loadedTokens ? "disk" : "memory"
    const { shared, next: known } = inMemory
    const prompted = [...prompt.subarray(shared, shared + TOLD_IDS)]
    if (shared > 0) this.nearest = { tier: "memory", shared, known, prompted }
    this.settled = explain === undefined ? Promise.resolve() : this.ask(explain())
  }

  /** Adds what the disk knows. A folder that cannot be read now knows nothing. */
  private async ask(divergence: Promise<Divergence | undefined>): Promise<void> {
    const found = await divergence.catch(() => undefined)
    if (found === undefined || found.common <= (this.nearest?.shared ?? 0)) return
    this.nearest = {
      tier: "disk",
      shared: found.common,
      known: [...found.stored.subarray(0, TOLD_IDS)],
      prompted: [...found.prompted.subarray(0, TOLD_IDS)],
    }
  }

  /** It has of the disk what has come by now. */
  get report(): CacheReport {
    const { source, nearest } = this
    return nearest === undefined ? { source } : { source, nearest }
  }
}
