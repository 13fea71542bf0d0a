// Seeded generator for property tests: the same seed gives the same inputs on every machine.
export class Random {
  private state: number
  constructor(seed: number) {
    this.state = seed >>> 0
  }
  /** Integer in [0, bound). */
  below(bound: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x100000000) * bound)
  }
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error("pick from nothing")
    return items[this.below(items.length)] as T
  }
  /** `length` items of `source`, joined. */
  text(source: readonly string[], length: number): string {
    let text = ""
    for (let i = 0; i < length; i++) text += this.pick(source)
    return text
  }
  /** Cuts a text at random places into non-empty pieces of at most `longest` UTF-16 units. */
  pieces(text: string, longest: number): string[] {
    const pieces: string[] = []
    for (let begin = 0; begin < text.length; ) {
      const end = begin + 1 + this.below(longest)
      pieces.push(text.slice(begin, end))
      begin = end
    }
    return pieces
  }
}
