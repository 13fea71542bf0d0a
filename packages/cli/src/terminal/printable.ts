/**
 * Model output without control characters, which could drive the terminal; newlines and tabs stay.
 */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]/g, (character) =>
    character === "\r" ? "" : "\ufffd",
  )
}
