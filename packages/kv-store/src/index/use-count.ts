/** Milliseconds after which a use counts half. */
const HALF_LIFE_MS = 6 * 3600 * 1000

/**
 * Uses, each of which counts less the older it is. An age is never below zero: a clock that goes
 * back leaves the sum as it is.
 */
export class UseCount {
  /** The decayed sum as of `last`. */
  sum = 0
  /** Unix milliseconds of the last use; 0 when there was none. */
  last = 0
  total = 0

  add(now: number): void {
    this.sum = this.decayed(now) + 1
    this.last = now
    this.total++
  }

  decayed(now: number): number {
    return this.sum * 2 ** (-Math.max(0, now - this.last) / HALF_LIFE_MS)
  }

  reset(sum = 0, last = 0, total = 0): void {
    this.sum = sum
    this.last = last
    this.total = total
  }
}
