// The one escape of string values. A value that holds its own closing tag could not be read back.
// The renderer writes that tag with another first character, and the parser undoes it. Every other
// entity is text.
import { DSML } from "@ds4/tokenizer/special-tokens"

export const PARAMETER_CLOSE = `</${DSML}parameter>`
const ESCAPED = `&lt;${PARAMETER_CLOSE.slice(1)}`

/** Undefined: the value holds the escaped form itself. */
export const escapeClosingTag = (value: string): string | undefined =>
  value.includes(ESCAPED) ? undefined : value.replaceAll(PARAMETER_CLOSE, ESCAPED)

export const unescapeClosingTag = (text: string): string =>
  text.includes(ESCAPED) ? text.replaceAll(ESCAPED, PARAMETER_CLOSE) : text

/** How many units before `end` may begin an escaped tag that is not complete. */
export const partialEscapeUnits = (text: string, end: number): number => {
  const limit = Math.max(0, end - ESCAPED.length + 1)
  for (let at = end - 1; at >= limit; at--)
    if (text.charCodeAt(at) === 0x26) return ESCAPED.startsWith(text.slice(at, end)) ? end - at : 0
  return 0
}
