// The random numbers that numpy draws: SeedSequence, PCG64 and a part of numpy.random.Generator.
// Integers have the same bits; normal numbers may differ in the last bits of a double.
import { NORMAL_R, WEDGES } from "./ziggurat.ts"

/** The state has 128 bits; as 22-bit limbs, sums of their products stay exact in a double. */
const LIMB = 2 ** 22
const PER_LIMB = 2 ** -22
/** The highest of the six limbs has 18 bits. */
const TOP_LIMB = 2 ** 18
const PER_TOP_LIMB = 2 ** -18
const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n

const limbsOf = (value: bigint): number[] =>
  [0n, 22n, 44n, 66n, 88n, 110n].map((shift) => Number((value >> shift) & 0x3fffffn))

const [M0 = 0, M1 = 0, M2 = 0, M3 = 0, M4 = 0, M5 = 0] = limbsOf(MULTIPLIER)

/** numpy.random.SeedSequence([seed, key]).generate_state(8) for two words of 32 bits. */
function seedWords(seed: number, key: number): Uint32Array {
  let hash = 0x43b0d7e5
  const scramble = (value: number): number => {
    const mixed = value ^ hash
    hash = Math.imul(hash, 0x931e8875)
    const product = Math.imul(mixed, hash)
    return product ^ (product >>> 16)
  }
  const mix = (x: number, y: number): number => {
    const product = Math.imul(x, 0xca01f9dd) - Math.imul(y, 0x4973f715)
    return product ^ (product >>> 16)
  }
  const pool = Int32Array.from([seed, key, 0, 0], scramble)
  for (let from = 0; from < 4; from++)
    for (let to = 0; to < 4; to++)
      if (from !== to) pool[to] = mix(pool[to] ?? 0, scramble(pool[from] ?? 0))
  let other = 0x8b51f9dd
  return Uint32Array.from({ length: 8 }, (_, index) => {
    const value = (pool[index % 4] ?? 0) ^ other
    other = Math.imul(other, 0x58f38ded)
    const product = Math.imul(value, other)
    return product ^ (product >>> 16)
  })
}

/** numpy.random.Generator(PCG64([seed, key])). */
export class NumpyRandom {
  // six limbs each of the state and the increment, the lowest first
  private s0 = 0
  private s1 = 0
  private s2 = 0
  private s3 = 0
  private s4 = 0
  private s5 = 0
  private readonly c0: number
  private readonly c1: number
  private readonly c2: number
  private readonly c3: number
  private readonly c4: number
  private readonly c5: number
  /** Words of the last number drawn. */
  private low = 0
  private high = 0
  /** The upper word of a number of which only the lower one has been used. */
  private spare: number | undefined

  /** @param seed @param key words of 32 bits */
  constructor(seed: number, key: number) {
    const words = [...seedWords(seed, key)].map(BigInt)
    const wide = (at: number): bigint => {
      const [a = 0n, b = 0n, c = 0n, d = 0n] = words.slice(at, at + 4)
      return (((b << 32n) | a) << 64n) | (d << 32n) | c
    }
    const mask = (1n << 128n) - 1n
    const increment = ((wide(4) << 1n) | 1n) & mask
    const state = ((wide(0) + increment) * MULTIPLIER + increment) & mask
    ;[this.c0 = 0, this.c1 = 0, this.c2 = 0, this.c3 = 0, this.c4 = 0, this.c5 = 0] =
      limbsOf(increment)
    ;[this.s0 = 0, this.s1 = 0, this.s2 = 0, this.s3 = 0, this.s4 = 0, this.s5 = 0] = limbsOf(state)
  }

  /** Draws 64 bits into `low` and `high`: state = state * multiplier + increment, then XSL-RR. */
  private next(): void {
    const { s0, s1, s2, s3, s4, s5 } = this
    let sum = s0 * M0 + this.c0
    let carry = Math.floor(sum * PER_LIMB)
    const n0 = sum - carry * LIMB
    sum = s0 * M1 + s1 * M0 + this.c1 + carry
    carry = Math.floor(sum * PER_LIMB)
    const n1 = sum - carry * LIMB
    sum = s0 * M2 + s1 * M1 + s2 * M0 + this.c2 + carry
    carry = Math.floor(sum * PER_LIMB)
    const n2 = sum - carry * LIMB
    sum = s0 * M3 + s1 * M2 + s2 * M1 + s3 * M0 + this.c3 + carry
    carry = Math.floor(sum * PER_LIMB)
    const n3 = sum - carry * LIMB
    sum = s0 * M4 + s1 * M3 + s2 * M2 + s3 * M1 + s4 * M0 + this.c4 + carry
    carry = Math.floor(sum * PER_LIMB)
    const n4 = sum - carry * LIMB
    sum = s0 * M5 + s1 * M4 + s2 * M3 + s3 * M2 + s4 * M1 + s5 * M0 + this.c5 + carry
    const n5 = sum - Math.floor(sum * PER_TOP_LIMB) * TOP_LIMB
    this.s0 = n0
    this.s1 = n1
    this.s2 = n2
    this.s3 = n3
    this.s4 = n4
    this.s5 = n5
    // the two 64-bit halves, exclusive or, turned right by the six highest bits
    const low = (n0 | (n1 << 22)) ^ ((n2 >>> 20) | (n3 << 2) | (n4 << 24))
    const top = (n4 >>> 8) | (n5 << 14)
    const high = ((n1 >>> 10) | (n2 << 12)) ^ top
    const turn = top >>> 26
    const isSwapped = turn >= 32
    const a = isSwapped ? high : low
    const b = isSwapped ? low : high
    const by = turn & 31
    this.low = by === 0 ? a : (a >>> by) | (b << (32 - by))
    this.high = by === 0 ? b : (b >>> by) | (a << (32 - by))
  }

  /** A number in [0, 1) of 53 bits. */
  private double(): number {
    this.next()
    return ((this.high >>> 0) * 2 ** 21 + (this.low >>> 11)) * 2 ** -53
  }

  private word(): number {
    const { spare } = this
    if (spare !== undefined) {
      this.spare = undefined
      return spare
    }
    this.next()
    this.spare = this.high >>> 0
    return this.low >>> 0
  }

  /** An integer in [0, bound) by Lemire's method. */
  private below(bound: number): number {
    const threshold = 2 ** 32 % bound
    for (;;) {
      const product = this.word() * bound
      if (product % 2 ** 32 >= threshold) return Math.floor(product / 2 ** 32)
    }
  }

  /** `count` integers in [begin, end). */
  integers(begin: number, end: number, count: number): number[] {
    return Array.from({ length: count }, () => begin + this.below(end - begin))
  }

  /** An integer in [0, most]: the lowest bits of a word, drawn again while they are too large. */
  private atMost(most: number): number {
    const mask = 2 ** (32 - Math.clz32(most)) - 1
    for (;;) {
      const value = this.word() & mask
      if (value <= most) return value
    }
  }

  /** The integers below `count` in random order. */
  permutation(count: number): number[] {
    const order = Array.from({ length: count }, (_, index) => index)
    for (let last = count - 1; last > 0; last--) {
      const other = this.atMost(last)
      const value = order[last] ?? 0
      order[last] = order[other] ?? 0
      order[other] = value
    }
    return order
  }

  /** `count` numbers in [begin, end). */
  uniform(begin: number, end: number, count: number): number[] {
    return Array.from({ length: count }, () => begin + (end - begin) * this.double())
  }

  /** `count` numbers of the standard normal distribution, by the ziggurat method. */
  standardNormal(count: number): Float64Array {
    const { scale, accept } = WEDGES
    const values = new Float64Array(count)
    for (let at = 0; at < count; at++) {
      this.next()
      const index = this.low & 0xff
      const magnitude = (this.high & 0x1fffffff) * 2 ** 23 + (this.low >>> 9)
      const isNegative = (this.low & 0x100) !== 0
      const x = magnitude * (scale[index] ?? 0)
      if (magnitude < (accept[index] ?? 0)) values[at] = isNegative ? -x : x
      else if (index === 0) values[at] = this.tail((this.low & 0x20000) !== 0)
      else if (this.isUnderCurve(index, x)) values[at] = isNegative ? -x : x
      else at -= 1
    }
    return values
  }

  private isUnderCurve(index: number, x: number): boolean {
    const { height } = WEDGES
    const lower = height[index] ?? 0
    const upper = height[index - 1] ?? 0
    return (upper - lower) * this.double() + lower < Math.exp(-0.5 * x * x)
  }

  private tail(isNegative: boolean): number {
    for (;;) {
      const x = -Math.log1p(-this.double()) / NORMAL_R
      const y = -Math.log1p(-this.double())
      if (y + y > x * x) return isNegative ? -(NORMAL_R + x) : NORMAL_R + x
    }
  }
}
