// Finds an answer that says the same over and over: the end of its tokens has a short period.
import type { Tokenizer } from "@ds4/tokenizer"

/** The end of a text that consists of one beginning, repeated. */
interface Repetition {
  /** Tokens until the text repeats itself. */
  readonly period: number
  /** Tokens that have this period. */
  readonly length: number
}

/** Tokens between two searches. Their places depend on the answer alone, not on its batches. */
const SEARCH_INTERVAL = 64
/** The same in a repetition that may go on: there a search looks at many tokens. */
const LATER_SEARCH_INTERVAL = 512
/** Periods above this are not found; with four of them they bound what one search looks at. */
const MAX_PERIOD = 512
const MIN_REPEATS = 4
/** A repeated text of words ends an answer when it is longer than this. */
const MAX_WORDS = 500
/** The same inside a call, where a file is written: its lines may be equal. */
const MAX_IN_CALL = 16_384
/** The same for separators, rows of zeros, base64 of equal bytes and other text without words. */
const MAX_DATA = 8192
const WINDOW = MAX_IN_CALL + LATER_SEARCH_INTERVAL
/** A period is judged by at least so many tokens. */
const MIN_SAMPLE = 128

/** Longer stretches without white space are data. */
const MAX_WORD_UNITS = 32
const HAS_LETTER = /\p{L}/u
const HAS_OTHER_LETTER = /[^\p{ASCII}\P{L}]/u
const IS_NUMBER = /^[^\p{L}]*(?:0x)?[0-9a-f]+[^\p{L}]*$/iu

export class RepeatedText {
  /** For each length of the reversed text: the longest proper beginning that is also its end. */
  private readonly borders = new Uint16Array(WINDOW)
  /** Tokens of the answer at the next search. */
  private nextSearch = MAX_WORDS + 1

  constructor(private readonly tokenizer: Pick<Tokenizer, "decode">) {}

  /**
   * A sentence that says what is repeated; undefined for a text that may go on. To be called after
   * each token.
   * @param ids all sampled tokens
   */
  find(ids: readonly number[], isInCall: boolean): string | undefined {
    if (ids.length < this.nextSearch) return undefined
    this.nextSearch = ids.length + SEARCH_INTERVAL
    const found = this.longest(ids)
    if (found === undefined || found.length <= MAX_WORDS) return undefined
    const limit = isInCall ? MAX_IN_CALL : MAX_DATA
    if (found.length <= limit && (isInCall || !this.hasWords(ids, found))) {
      this.nextSearch = ids.length + LATER_SEARCH_INTERVAL
      return undefined
    }
    return `the last ${found.length} tokens repeat a text of ${found.period} tokens`
  }

  /** The longest repetition at the end, by the border array of the reversed text. */
  private longest(ids: readonly number[]): Repetition | undefined {
    const { borders } = this
    const last = ids.length - 1
    const limit = Math.min(ids.length, WINDOW)
    let found: Repetition | undefined
    let border = 0
    for (let index = 1; index < limit; index++) {
      const id = ids[last - index]
      while (border > 0 && ids[last - border] !== id) border = borders[border - 1] ?? 0
      if (ids[last - border] === id) border++
      borders[index] = border
      const length = index + 1
      const period = length - border
      if (period > MAX_PERIOD) break // a longer end has no shorter period
      if (period * MIN_REPEATS <= length) found = { period, length }
    }
    return found
  }

  private hasWords(ids: readonly number[], { period, length }: Repetition): boolean {
    const sample = Math.min(length, Math.max(2 * period, MIN_SAMPLE))
    const units = this.tokenizer.decode(ids.slice(-sample)).split(/\s+/)
    // The first and the last unit may be cut.
    return units.slice(1, -1).some(isWord) || HAS_OTHER_LETTER.test(units.join(""))
  }
}

function isWord(unit: string): boolean {
  return unit.length <= MAX_WORD_UNITS && HAS_LETTER.test(unit) && !IS_NUMBER.test(unit)
}
