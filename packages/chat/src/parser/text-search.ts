// Left-to-right search in text that is still growing.
/** The text ends before it is decided what stands here. */
export const PARTIAL = "partial"

/** A match, the place of one that more text may complete, or nothing. */
type Finding<T> =
  | { readonly at: number; readonly found: T }
  | { readonly at: number; readonly found: undefined }

export interface Matcher<T> {
  /** UTF-16 units a match can begin with. */
  readonly firstUnits: ReadonlySet<number>
  /** The match at `index`; "partial" when the text ends before that is decided. */
  match(text: string, index: number): T | typeof PARTIAL | undefined
}

/**
 * The first place at or after `begin` where something matches or may yet match. Searching for the
 * earliest start makes the result independent of how the text arrived.
 */
export const findFirst = <T>(
  text: string,
  begin: number,
  matcher: Matcher<T>,
  isFinal: boolean,
): Finding<T> | undefined => {
  for (let at = begin; at < text.length; at++) {
    if (!matcher.firstUnits.has(text.charCodeAt(at))) continue
    const found = matcher.match(text, at)
    if (found === undefined || (found === PARTIAL && isFinal)) continue
    return found === PARTIAL ? { at, found: undefined } : { at, found }
  }
  return undefined
}

/** One of several literals, in an object so that no literal can be taken for the word "partial". */
export const matchLiteral = (
  text: string,
  index: number,
  literals: readonly string[],
): { literal: string } | typeof PARTIAL | undefined => {
  let isPartial = false
  for (const literal of literals) {
    if (text.startsWith(literal, index)) return { literal }
    if (text.length - index < literal.length && literal.startsWith(text.slice(index)))
      isPartial = true
  }
  return isPartial ? PARTIAL : undefined
}
