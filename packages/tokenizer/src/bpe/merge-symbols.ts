// Byte-pair merging of one piece: lowest rank first, leftmost on a tie, until no adjacent pair has
// a rank.
import { BucketMerger } from "./bucket-merger.ts"
import type { MergeTable } from "./merge-table.ts"

/** Above this many symbols the quadratic scan loses to the heap (measured between 48 and 96). */
const SCAN_LIMIT = 64

/** Above this many the walk over all ranks, which buckets need, no longer counts. */
const HEAP_LIMIT = 8192

/**
 * A heap key is rank * 2^28 + position: ranks stay below 2^20, positions below 2^28, the product
 * below 2^53.
 */
const POSITION_SPAN = 2 ** 28

export class SymbolMerger {
  // [i] rank of the pair (i, i + 1), scan only
  private readonly ranks = new Int32Array(SCAN_LIMIT + 1)
  private next = new Int32Array(0)
  private previous = new Int32Array(0)
  private heap = new Float64Array(0)
  private heapSize = 0

  private readonly buckets: BucketMerger | undefined

  constructor(private readonly table: MergeTable) {
    this.buckets = table.isOrdered ? new BucketMerger(table) : undefined
  }

  /** Merges symbols[0, count) in place; returns how many are left. */
  merge(symbols: Int32Array, count: number): number {
    if (count <= SCAN_LIMIT) return this.scan(symbols, count)
    if (count > HEAP_LIMIT && this.buckets !== undefined) return this.buckets.merge(symbols, count)
    return this.withHeap(symbols, count)
  }

  private scan(symbols: Int32Array, count: number): number {
    const { ranks, table } = this
    for (let i = 0; i + 1 < count; i++)
      ranks[i] = table.rank(symbols[i] as number, symbols[i + 1] as number)
    while (count > 1) {
      let best = -1
      let bestRank = 0x7fffffff
      for (let i = 0; i + 1 < count; i++) {
        const rank = ranks[i] as number // i < count <= SCAN_LIMIT
        if (rank >= 0 && rank < bestRank) {
          bestRank = rank
          best = i
        }
      }
      if (best < 0) break
      symbols[best] = table.joined[bestRank] as number // bestRank came out of the table
      symbols.copyWithin(best + 1, best + 2, count)
      ranks.copyWithin(best, best + 1, count)
      count--
      if (best + 1 < count)
        ranks[best] = table.rank(symbols[best] as number, symbols[best + 1] as number)
      if (best > 0)
        ranks[best - 1] = table.rank(symbols[best - 1] as number, symbols[best] as number)
    }
    return count
  }

  private reserve(count: number): void {
    if (count >= POSITION_SPAN)
      throw new RangeError(
        `one piece of ${count} bytes; at most ${POSITION_SPAN - 1} can be encoded`,
      )
    if (this.next.length >= count) return
    this.next = new Int32Array(count)
    this.previous = new Int32Array(count)
    this.heap = new Float64Array(count * 2)
  }

  /** Lists do not shrink with the text; after a huge piece they are let go. */
  private release(count: number): void {
    if (count < 1 << 16) return
    this.next = this.previous = new Int32Array(0)
    this.heap = new Float64Array(0)
  }

  private push(rank: number, position: number): void {
    if (this.heapSize === this.heap.length) {
      const larger = new Float64Array(this.heap.length * 2)
      larger.set(this.heap)
      this.heap = larger
    }
    const heap = this.heap
    const key = rank * POSITION_SPAN + position
    let slot = this.heapSize++
    while (slot > 0) {
      const parent = (slot - 1) >> 1
      const parentKey = heap[parent] as number // parent < slot < heapSize
      if (parentKey <= key) break
      heap[slot] = parentKey
      slot = parent
    }
    heap[slot] = key
  }

  private siftDown(slot: number, key: number): void {
    const { heap, heapSize } = this
    for (;;) {
      let child = slot * 2 + 1
      if (child >= heapSize) break
      let childKey = heap[child] as number // child < heapSize
      const right = heap[child + 1] as number // read past the size is compared away below
      if (child + 1 < heapSize && right < childKey) {
        child++
        childKey = right
      }
      if (childKey >= key) break
      heap[slot] = childKey
      slot = child
    }
    heap[slot] = key
  }

  private pop(): number {
    const top = this.heap[0] as number // callers check heapSize
    const last = this.heap[--this.heapSize] as number
    if (this.heapSize > 0) this.siftDown(0, last)
    return top
  }

  /** Fills the heap with every mergeable pair and orders it bottom up, in linear time. */
  private fillHeap(symbols: Int32Array, count: number): void {
    this.heapSize = 0
    for (let i = 0; i + 1 < count; i++) {
      const rank = this.table.rank(symbols[i] as number, symbols[i + 1] as number)
      if (rank >= 0) this.heap[this.heapSize++] = rank * POSITION_SPAN + i
    }
    for (let slot = (this.heapSize >> 1) - 1; slot >= 0; slot--)
      this.siftDown(slot, this.heap[slot] as number)
  }

  /**
   * A merged-away symbol becomes -1; heap entries of pairs that changed meanwhile are recognised by
   * rank.
   */
  private withHeap(symbols: Int32Array, count: number): number {
    this.reserve(count)
    const { next, previous, table } = this
    for (let i = 0; i < count; i++) {
      next[i] = i + 1
      previous[i] = i - 1
    }
    this.fillHeap(symbols, count)
    while (this.heapSize > 0) {
      const key = this.pop()
      const rank = Math.floor(key / POSITION_SPAN)
      const left = key - rank * POSITION_SPAN
      const right = next[left] as number // left < count
      if (right >= count || (symbols[left] as number) < 0) continue
      if (table.rank(symbols[left] as number, symbols[right] as number) !== rank) continue
      const merged = table.joined[rank] as number
      const after = next[right] as number
      symbols[left] = merged
      symbols[right] = -1
      next[left] = after
      if (after < count) {
        previous[after] = left
        const afterRank = table.rank(merged, symbols[after] as number)
        if (afterRank >= 0) this.push(afterRank, left)
      }
      const before = previous[left] as number
      if (before >= 0) {
        const beforeRank = table.rank(symbols[before] as number, merged)
        if (beforeRank >= 0) this.push(beforeRank, before)
      }
    }
    let kept = 0
    for (let i = 0; i < count; i = next[i] as number) symbols[kept++] = symbols[i] as number
    this.release(count)
    return kept
  }
}
