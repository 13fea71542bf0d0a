// The rule by which the native library ends an answer at a tool block, for the fake engine.

/** One call of a block as trained; the marker is that of the block. */
const callPattern = (marker: string): string =>
  `<${marker}invoke name="([^"\\n<]+)">\\s*` +
  `(?:<${marker}parameter name="[^"\\n<]+"(?: string="(?:true|false)")?>[^]*?` +
  `</${marker}parameter>\\s*)*</${marker}invoke>\\s*`

const FAMILIES = ["｜DSML｜", "DSML｜", ""].map((marker) => ({
  opener: `<${marker}tool_calls>`,
  closer: `</${marker}tool_calls>`,
  call: new RegExp(callPattern(marker), "y"),
}))

/** Whether Markdown code is open at the end: a fence, or a backtick on the last line. */
function endsInCode(text: string): boolean {
  const fences = text.match(/^[ \t>]*(?:```|~~~)/gm) ?? []
  const line = text.slice(text.lastIndexOf("\n") + 1)
  return fences.length % 2 === 1 || (line.match(/`/g) ?? []).length % 2 === 1
}

/** Whether the text ends with the closing tag of a block that holds calls of these tools. */
export function closesBlock(text: string, tools: readonly string[] | undefined): boolean {
  const family = FAMILIES.find(({ closer }) => text.endsWith(closer))
  if (family === undefined) return false
  const { opener, closer, call } = family
  const begin = text.lastIndexOf(opener)
  const before = text.slice(0, begin)
  const isPlain = opener === "<tool_calls>"
  if (begin < 0 || (isPlain && !/(?:^|\n)$/.test(before)) || endsInCode(before)) return false
  const inside = text.slice(begin + opener.length, -closer.length).trimStart()
  let at = 0
  while (at < inside.length) {
    call.lastIndex = at
    const found = call.exec(inside)
    if (found === null || tools?.includes(found[1] ?? "") === false) return false
    at = call.lastIndex
  }
  return at > 0
}
