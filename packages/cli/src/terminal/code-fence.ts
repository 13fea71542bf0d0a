/** A block of code that has begun: where its text stands in its lines, and how it ends. */
export interface CodeFence {
  readonly language: string
  /** The marker of a list item whose first line opens the block, or empty. */
  readonly marker: string
  /** The code of one line of the block; undefined: the line ends the block. */
  read(line: string): string | undefined
  /** Whether a line that is read is still within the block: a quote ends where its marks do. */
  holds(line: string): boolean
}

const OPENING = new RegExp(
  String.raw`^(?<quote>(?:\s{0,3}>\s?)*)(?<indent>\s*)(?<marker>(?:[-*+]|\d{1,9}[.)])\s+)?` +
    "(?<mark>`{3,}|~{3,})" +
    String.raw`\s*(?<info>.*)$`,
)
const QUOTE = /^\s{0,3}>\s?/

function unquoted(line: string, depth: number): string {
  let rest = line
  for (let level = 0; level < depth; level++) rest = rest.replace(QUOTE, "")
  return rest
}

/**
 * The block that a line opens, if it opens one. Marks may stand in lists and quotes, where models
 * indent them as they like.
 */
export function openFence(line: string): CodeFence | undefined {
  const groups = OPENING.exec(line)?.groups
  if (groups === undefined) return undefined
  const { quote = "", indent = "", marker = "", mark = "", info = "" } = groups
  if (mark.startsWith("`") && info.includes("`")) return undefined // code within a text line
  const depth = quote.split(">").length - 1
  const width = indent.length + marker.length
  const closing = new RegExp(`^\\s*${mark.charAt(0)}{${mark.length},}\\s*$`)
  return {
    language: /^[\w+#.-]*/.exec(info)?.[0] ?? "",
    marker: marker.trimEnd(),
    holds: (each) => depth === 0 || QUOTE.test(each),
    read: (each) => {
      const text = unquoted(each, depth)
      if (closing.test(text)) return undefined
      const blanks = /^\s*/.exec(text)?.[0].length ?? 0
      return text.slice(Math.min(blanks, width))
    },
  }
}
