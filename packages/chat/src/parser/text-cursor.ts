// Goes through plain text that is still growing, up to a match. It remembers what need not be
// looked at again, so that the cost of a long text is linear.
import { isSpaceUnit } from "./lookahead.ts"
import { findFirst, type Matcher } from "./text-search.ts"

interface SearchOptions {
  /** White space at the end waits: it belongs to neither side of a tag. */
  readonly holdsSpace: boolean
  readonly isFinal: boolean
}

type Found<T> =
  | { readonly found: T; readonly at: number }
  /** So many units are text. The owner takes them from its buffer before the next search. */
  | { readonly found: undefined; readonly text: number }

export class TextCursor {
  private scanned = 0 // no match begins before this index
  // so many units at the start are white space waiting for a tag
  private heldSpace = 0

  /** The owner took something else than text. */
  reset(): void {
    this.scanned = this.heldSpace = 0
  }

  /** Start of the white space that ends at `end`; the buffer begins with what was held. */
  spaceStart(text: string, end: number): number {
    let start = end
    while (start > this.heldSpace && isSpaceUnit(text.charCodeAt(start - 1))) start--
    return start === this.heldSpace ? 0 : start
  }

  search<T>(text: string, matcher: Matcher<T>, { holdsSpace, isFinal }: SearchOptions): Found<T> {
    const finding = findFirst(text, this.scanned, matcher, isFinal)
    if (finding?.found !== undefined) return { found: finding.found, at: finding.at }
    const resume = finding?.at ?? text.length
    const endsInPair = !isFinal && resume > 0 && (text.charCodeAt(resume - 1) & 0xfc00) === 0xd800
    const limit = endsInPair ? resume - 1 : resume
    const end = holdsSpace ? this.spaceStart(text, limit) : limit
    this.scanned = resume - end
    this.heldSpace = limit - end
    return { found: undefined, text: end }
  }
}
