// Pair of token ids -> rank of their merge: open addressing over three Int32 per slot, so that one
// probe touches one cache line.
const EMPTY = -1

const isTrainingOrder = (merges: Int32Array): boolean => {
  const lastMaker = new Map<number, number>()
  for (let rank = 0; rank * 3 < merges.length; rank++)
    lastMaker.set(merges[rank * 3 + 2] as number, rank)
  const isMadeBefore = (id: number | undefined, rank: number): boolean =>
    (lastMaker.get(id ?? -1) ?? -1) < rank
  for (let rank = 0; rank * 3 < merges.length; rank++) {
    if (!isMadeBefore(merges[rank * 3], rank) || !isMadeBefore(merges[rank * 3 + 1], rank))
      return false
  }
  return true
}

export class MergeTable {
  // [capacity * 3] left, right, rank; left is EMPTY in a free slot
  private readonly slots: Int32Array
  private readonly mask: number
  /** [merges] id of the joined token, by rank. */
  readonly joined: Int32Array
  /** Every merge comes after all merges that make its parts, as in tables made by training. */
  readonly isOrdered: boolean

  /**
   * @param merges [merges * 3] left id, right id, joined id by rank; of equal pairs the first one
   * counts
   */
  constructor(merges: Int32Array) {
    const count = merges.length / 3
    let capacity = 64
    while (capacity < count * 2) capacity *= 2
    this.mask = capacity - 1
    this.slots = new Int32Array(capacity * 3).fill(EMPTY)
    this.joined = new Int32Array(count)
    for (let rank = 0; rank < count; rank++) {
      this.joined[rank] = merges[rank * 3 + 2] as number // rank * 3 + 2 < merges.length
      this.insert(merges[rank * 3] as number, merges[rank * 3 + 1] as number, rank)
    }
    this.isOrdered = isTrainingOrder(merges)
  }

  private slotOf(left: number, right: number): number {
    let slot = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)
    slot = (slot ^ (slot >>> 15)) & this.mask
    const slots = this.slots
    for (;;) {
      const found = slots[slot * 3] as number // slot is masked to the capacity
      if (found === EMPTY || (found === left && slots[slot * 3 + 1] === right)) return slot * 3
      slot = (slot + 1) & this.mask
    }
  }

  private insert(left: number, right: number, rank: number): void {
    const slot = this.slotOf(left, right)
    if (this.slots[slot] !== EMPTY) return
    this.slots[slot] = left
    this.slots[slot + 1] = right
    this.slots[slot + 2] = rank
  }

  /** Rank of the merge of two ids, or -1. */
  rank(left: number, right: number): number {
    return this.slots[this.slotOf(left, right) + 2] as number // a free slot holds EMPTY here
  }
}
