const STATEMENT = /^\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*[=.]/
const SECTION = /^\s*\[\[?\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))/
const LONG_QUOTES = /"""|'''/g

/**
 * The line, from 1, on which each key or section of the top level first stands. Bun's parser gives
 * values without positions. Lines inside a long text are passed over.
 */
export function topLevelLines(toml: string): ReadonlyMap<string, number> {
  const lines = new Map<string, number>()
  let openQuotes: string | undefined
  let isTopLevel = true
  for (const [index, line] of toml.split("\n").entries()) {
    if (openQuotes === undefined) {
      const section = SECTION.exec(line)
      const found = section ?? (isTopLevel ? STATEMENT.exec(line) : null)
      const name = found?.[1] ?? found?.[2] ?? found?.[3]
      if (name !== undefined && !lines.has(name)) lines.set(name, index + 1)
      if (section !== null) isTopLevel = false
    }
    for (const [quotes] of line.matchAll(LONG_QUOTES))
      openQuotes =
        openQuotes === undefined ? quotes : openQuotes === quotes ? undefined : openQuotes
  }
  return lines
}

/**
 * The line, from 1, of a document that does not parse: the one after the longest beginning that
 * does. A fault inside a long text or array counts as one of the line where that begins.
 */
export function faultyLine(toml: string): number {
  const lines = toml.split("\n")
  for (let count = lines.length - 1; count > 0; count--)
    if (parses(lines.slice(0, count).join("\n"))) return count + 1
  return 1
}

function parses(toml: string): boolean {
  try {
    Bun.TOML.parse(toml)
    return true
  } catch {
    return false
  }
}
