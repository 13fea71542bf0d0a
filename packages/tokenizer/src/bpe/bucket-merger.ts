// Merging in linear time for huge pieces, with tables in which every merge comes after those that
// make its parts (all tables made by training). Then ranks can be worked off in order, each once:
// what a merge creates waits in the bucket of a later rank. Buckets are doubly linked lists through
// the positions of the piece.
import type { MergeTable } from "./merge-table.ts"

const NONE = -1

export class BucketMerger {
  // [merges] first position waiting for a rank; all NONE between calls
  private readonly heads: Int32Array
  private next = new Int32Array(0) // [count] the symbol after, count at the end
  private previous = new Int32Array(0) // [count] the symbol before, NONE at the start
  private rankAt = new Int32Array(0) // [count] rank of the pair that starts here, or NONE
  private nextInBucket = new Int32Array(0)
  private previousInBucket = new Int32Array(0)

  /** @param table must be in training order: table.isOrdered */
  constructor(private readonly table: MergeTable) {
    this.heads = new Int32Array(table.joined.length).fill(NONE)
  }

  private allocate(count: number): void {
    this.next = new Int32Array(count)
    this.previous = new Int32Array(count)
    this.rankAt = new Int32Array(count)
    this.nextInBucket = new Int32Array(count)
    this.previousInBucket = new Int32Array(count)
  }

  /** Puts the pair that starts at `position` in front of its bucket. */
  private link(position: number, rank: number): void {
    this.rankAt[position] = rank
    if (rank === NONE) return
    const head = this.heads[rank] as number // ranks come out of the table
    this.nextInBucket[position] = head
    this.previousInBucket[position] = NONE
    if (head !== NONE) this.previousInBucket[head] = position
    this.heads[rank] = position
  }

  /**
   * Takes a pair out of its bucket; pairs of the rank in work are only marked, their list is being
   * read.
   */
  private unlink(position: number, rankInWork: number): void {
    const rank = this.rankAt[position] as number // a position of the piece
    this.rankAt[position] = NONE
    if (rank === NONE || rank === rankInWork) return
    const after = this.nextInBucket[position] as number
    const before = this.previousInBucket[position] as number
    if (after !== NONE) this.previousInBucket[after] = before
    if (before === NONE) this.heads[rank] = after
    else this.nextInBucket[before] = after
  }

  private mergeAt(symbols: Int32Array, count: number, left: number, rank: number): void {
    const { next, previous, table } = this
    const right = next[left] as number // a pair has a right side
    const after = next[right] as number
    const before = previous[left] as number
    const joined = table.joined[rank] as number
    this.unlink(right, rank)
    symbols[left] = joined
    next[left] = after
    if (after < count) {
      previous[after] = left
      this.link(left, table.rank(joined, symbols[after] as number))
    } else {
      this.rankAt[left] = NONE
    }
    if (before === NONE) return
    this.unlink(before, rank)
    this.link(before, table.rank(symbols[before] as number, joined))
  }

  /**
   * Positions of a bucket from left to right: pairs of a symbol with itself overlap, so there order
   * counts.
   */
  private sorted(head: number): Int32Array {
    const positions: number[] = []
    for (let position = head; position !== NONE; position = this.nextInBucket[position] as number)
      positions.push(position)
    return Int32Array.from(positions).sort()
  }

  private workOff(symbols: Int32Array, count: number, rank: number): void {
    const head = this.heads[rank] as number // rank is below the number of merges
    if (head === NONE) return
    this.heads[rank] = NONE
    if (symbols[head] === symbols[this.next[head] as number]) {
      for (const position of this.sorted(head)) {
        if (this.rankAt[position] === rank) this.mergeAt(symbols, count, position, rank)
      }
      return
    }
    for (let position = head; position !== NONE; ) {
      // merging here moves only the neighbours, never of this rank
      const following = this.nextInBucket[position] as number
      this.mergeAt(symbols, count, position, rank)
      position = following
    }
  }

  /** Merges symbols[0, count) in place; returns how many are left. */
  merge(symbols: Int32Array, count: number): number {
    this.allocate(count)
    const { next, previous, rankAt, table, heads } = this
    for (let i = count - 1; i >= 0; i--) {
      next[i] = i + 1
      previous[i] = i - 1
      if (i + 1 < count) this.link(i, table.rank(symbols[i] as number, symbols[i + 1] as number))
      else rankAt[i] = NONE
    }
    for (let rank = 0; rank < heads.length; rank++) this.workOff(symbols, count, rank)
    let kept = 0
    for (let i = 0; i < count; i = next[i] as number) symbols[kept++] = symbols[i] as number
    this.allocate(0)
    return kept
  }
}
