// The first thing after a tag decides whether the tag belongs to a call.
import { isMarkedTag, matchTag, type Tag } from "./tags.ts"
import { PARTIAL } from "./text-search.ts"

/** More white space than this belongs to no block. */
const MAX_BLANK_UNITS = 1024

export const isSpaceUnit = (unit: number): boolean =>
  unit === 0x20 || (unit >= 0x09 && unit <= 0x0d)

/** Length of the white space at the beginning. */
export const spaceUnits = (text: string): number => {
  let end = 0
  while (end < text.length && isSpaceUnit(text.charCodeAt(end))) end++
  return end
}

type Following =
  | { readonly kind: "tag"; readonly tag: Tag; readonly hasLineBreak: boolean }
  /** The answer ends here, or in the beginning of a tag. */
  | { readonly kind: "end"; readonly hasLineBreak: boolean }
  | { readonly kind: "text"; readonly first: string; readonly hasLineBreak: boolean }

/** The first thing after the white space at `index`. */
export function following(
  text: string,
  index: number,
  isFinal: boolean,
): Following | typeof PARTIAL {
  let at = index
  let hasLineBreak = false
  while (at < text.length && isSpaceUnit(text.charCodeAt(at))) {
    if (text[at] === "\n") hasLineBreak = true
    if (++at - index > MAX_BLANK_UNITS) return { kind: "text", first: " ", hasLineBreak }
  }
  if (at >= text.length) return isFinal ? { kind: "end", hasLineBreak } : PARTIAL
  const first = text.charAt(at)
  if (first !== "<") return { kind: "text", first, hasLineBreak }
  const tag = matchTag(text, at)
  if (tag === PARTIAL) return isFinal ? { kind: "end", hasLineBreak } : PARTIAL
  return tag === undefined
    ? { kind: "text", first, hasLineBreak }
    : { kind: "tag", tag, hasLineBreak }
}

const MAX_CLOSERS = 8

/**
 * Whether a call goes on after `index`: with a tag of the family, or with closing tags up to the
 * end of the answer.
 */
export const continuesCall = (
  text: string,
  index: number,
  isPlainCall: boolean,
  isFinal: boolean,
): boolean | typeof PARTIAL => {
  let at = index
  for (let closers = 0; closers <= MAX_CLOSERS; closers++) {
    const next = following(text, at, isFinal)
    if (next === PARTIAL) return PARTIAL
    if (next.kind !== "tag") return next.kind === "end"
    if (isPlainCall || isMarkedTag(next.tag)) return next.tag.name !== "unknown"
    if (!next.tag.isClosing) return false
    at = next.tag.end
  }
  return false
}
