/** Words that may stand in a text from an index up to the cursor. */
export interface Completion {
  /** UTF-16 index where the word begins that is completed. */
  readonly begin: number
  /** Whole words; one that ends in a slash is a folder and can be gone on with. */
  readonly candidates: readonly string[]
}

/** Finds what the word before the cursor can become; undefined: Tab is a tab there. */
export type Completer = (beforeCursor: string) => Completion | undefined

/** The longest beginning that all words share. */
function sharedPrefix(words: readonly string[]): string {
  let [prefix = ""] = words
  for (const word of words) while (!word.startsWith(prefix)) prefix = prefix.slice(0, -1)
  // half a surrogate pair is no character
  return prefix.replace(/[\ud800-\udbff]$/, "")
}

/**
 * The text that takes the place of the word, if it is longer. A space follows a single candidate,
 * so that the next word can be typed.
 */
export function completedWord(word: string, candidates: readonly string[]): string | undefined {
  const [only] = candidates
  if (only !== undefined && candidates.length === 1) return only.endsWith("/") ? only : `${only} `
  const prefix = sharedPrefix(candidates)
  return prefix.length > word.length ? prefix : undefined
}

const MOST_SHOWN = 100

/** Candidates in columns, as many rows as that takes. */
export function candidateRows(candidates: readonly string[], columns: number): string[] {
  const shown = candidates.slice(0, MOST_SHOWN)
  const width = Math.max(...shown.map((word) => Bun.stringWidth(word))) + 2
  const perRow = Math.max(1, Math.floor((columns - 1) / width))
  const rows = Math.ceil(shown.length / perRow)
  const lines = Array.from({ length: rows }, (_, row) =>
    shown
      .filter((_word, index) => index % rows === row)
      .map((word) => word + " ".repeat(width - Bun.stringWidth(word)))
      .join("")
      .trimEnd(),
  )
  const rest = candidates.length - shown.length
  return rest > 0 ? [...lines, `and ${rest} more`] : lines
}
