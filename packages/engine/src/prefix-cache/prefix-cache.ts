// States of sessions by the tokens that lead to them. A prompt continues from the longest of its
// beginnings that is here; what is worth least for its memory goes first.
import type { PrefixCacheStats } from "../types.ts"
import { type PrefixNode, PrefixTree } from "./prefix-tree.ts"

/** A state that the cache owns: the part of a mark that it uses. */
export interface CachedMark {
  /** Tokens before it. */
  readonly position: number
  /** Closing it would free so many bytes now. */
  readonly ownBytes: number
  close(): void
}

/** A state, and the token lists by which prompts may show it. */
interface NewPrefix<M extends CachedMark> {
  readonly mark: M
  /** The tokens of the state. */
  readonly held: Int32Array
  /** Other token lists by which prompts show them, where those leave something out. */
  readonly shown: readonly Int32Array[]
  /** Requests of one conversation give the same one. */
  readonly hint: string | undefined
}

/** A beginning of a prompt that is in the cache. */
interface CachedPrefix<M extends CachedMark> {
  readonly mark: M
  /** The tokens of the state. */
  readonly held: Int32Array
  /** Tokens of the prompt that it stands for. */
  readonly length: number
}

interface Entry<M extends CachedMark> extends NewPrefix<M> {
  readonly places: PrefixNode<Entry<M>>[]
  usedAtMs: number
  /** Uses so far, halved with time. */
  weight: number
}

interface PrefixCacheOptions {
  /** Bytes of all states, those of running sessions included. */
  readonly usedBytes: () => number
  readonly budgetBytes: number
  /** Bytes by which they may grow. */
  readonly roomBytes: () => number
  /** Context of one session in tokens. */
  readonly contextTokens: number
  /** Milliseconds; default: the clock of the machine. */
  readonly now?: () => number
}

/** A use counts half after this long. */
const HALF_LIFE_MS = 6 * 3_600_000

export class PrefixCache<M extends CachedMark> {
  private readonly tree = new PrefixTree<Entry<M>>()
  private readonly entries = new Set<Entry<M>>()
  private readonly counts = { hits: 0, misses: 0, evictions: 0 }
  private readonly now: () => number

  constructor(private readonly options: PrefixCacheOptions) {
    this.now = options.now ?? (() => performance.now())
  }

  get stats(): PrefixCacheStats {
    const { usedBytes, budgetBytes } = this.options
    return { prefixes: this.entries.size, bytes: usedBytes(), budgetBytes, ...this.counts }
  }

  /** The longest beginning of the prompt that leaves at least one token of it to process. */
  find(prompt: Int32Array, hint: string | undefined): CachedPrefix<M> | undefined {
    for (const { end, values } of this.tree.beginnings(prompt)) {
      if (end >= prompt.length) continue
      const usable = values.filter((entry) => this.fits(entry, end, prompt.length))
      const entry = newest(usable.filter((each) => each.hint === hint)) ?? newest(usable)
      if (entry !== undefined) return { mark: entry.mark, held: entry.held, length: end }
    }
    return undefined
  }

  /** Where a prompt leaves the known token list that it shares most with, and `count` ids of it. */
  nearest(prompt: Int32Array, count: number): { shared: number; next: number[] } {
    return this.tree.nearest(prompt, count)
  }

  /** Counts a look-up whose result was used, or that found nothing. */
  record(found: CachedPrefix<M> | undefined): void {
    if (found === undefined) {
      this.counts.misses++
      return
    }
    this.counts.hits++
    for (const entry of this.entries) if (entry.mark === found.mark) this.use(entry)
  }

  /** Tokens that prompts leave out still take room: at most half of the answer's is spent. */
  private fits({ held }: Entry<M>, end: number, promptLength: number): boolean {
    return held.length - end <= (this.options.contextTokens - promptLength) / 2
  }

  private use(entry: Entry<M>): void {
    entry.weight = this.weightOf(entry) + 1
    entry.usedAtMs = this.now()
  }

  private weightOf({ weight, usedAtMs }: Entry<M>): number {
    return weight * 2 ** (-Math.max(0, this.now() - usedAtMs) / HALF_LIFE_MS)
  }

  /** Takes a state over, and closes those that are worth least if it is one too many. */
  add(prefix: NewPrefix<M>): void {
    const { mark, held, shown } = prefix
    const keys = distinct([held, ...shown]).filter((key) => key.length > 0)
    const same = this.entryOf(held)
    if (same !== undefined || held.length === 0) {
      mark.close()
      if (same !== undefined) this.showAs(same, keys)
    } else {
      const entry: Entry<M> = { ...prefix, places: [], usedAtMs: this.now(), weight: 1 }
      this.entries.add(entry)
      this.showAs(entry, keys)
    }
    this.shrink(same ?? this.entryOf(held))
  }

  /** The entry of exactly these tokens. */
  private entryOf(held: Int32Array): Entry<M> | undefined {
    const [longest] = this.tree.beginnings(held)
    if (longest?.end !== held.length) return undefined
    return longest.values.find((entry) => entry.held.length === held.length)
  }

  private showAs(entry: Entry<M>, keys: readonly Int32Array[]): void {
    for (const key of keys) {
      const [longest] = this.tree.beginnings(key)
      const isThere = longest?.end === key.length && longest.values.includes(entry)
      if (!isThere) entry.places.push(this.tree.insert(key, entry))
    }
  }

  /** Closes states until so many bytes are free for a session, or none is left. */
  makeRoom(bytes: number): void {
    this.dropWhile(() => this.options.roomBytes() < bytes, undefined)
  }

  /** Closes states until the budget holds; `spared` stays. */
  private shrink(spared: Entry<M> | undefined): void {
    this.dropWhile(() => this.options.usedBytes() > this.options.budgetBytes, spared)
  }

  private dropWhile(isShort: () => boolean, spared: Entry<M> | undefined): void {
    while (isShort()) {
      const least = this.leastValuable(spared)
      if (least === undefined) return
      this.drop(least)
      this.counts.evictions++
    }
  }

  private leastValuable(spared: Entry<M> | undefined): Entry<M> | undefined {
    let least: { entry: Entry<M>; value: number } | undefined
    for (const entry of this.entries) {
      if (entry === spared) continue
      const value = this.valueOf(entry)
      if (least === undefined || value < least.value) least = { entry, value }
    }
    return least?.entry
  }

  /** Tokens that need no reading thanks to it, by how often it was used, for each byte. */
  private valueOf(entry: Entry<M>): number {
    const saved = entry.places.map((place) => place.end - (this.tree.before(place)?.end ?? 0))
    return (Math.max(...saved) * this.weightOf(entry)) / Math.max(1, entry.mark.ownBytes)
  }

  private drop(entry: Entry<M>): void {
    for (const place of entry.places) this.tree.remove(place, entry)
    this.entries.delete(entry)
    entry.mark.close()
  }

  /** Closes every state but one: memory is short. */
  clear(kept?: M): void {
    for (const entry of this.entries) if (entry.mark !== kept) this.drop(entry)
  }
}

function newest<M extends CachedMark>(entries: readonly Entry<M>[]): Entry<M> | undefined {
  return entries.reduce<Entry<M> | undefined>(
    (best, entry) => (best === undefined || entry.usedAtMs >= best.usedAtMs ? entry : best),
    undefined,
  )
}

function distinct(lists: readonly Int32Array[]): Int32Array[] {
  return lists.filter(
    (list, index) =>
      !lists.slice(0, index).some((other) => Buffer.compare(bytes(list), bytes(other)) === 0),
  )
}

const bytes = ({ buffer, byteOffset, byteLength }: Int32Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength)
