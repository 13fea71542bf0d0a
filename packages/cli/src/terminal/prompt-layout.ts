const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })

interface PromptLayout {
  /** Text to print, one entry a screen row. */
  readonly rows: readonly string[]
  /** The cursor's place within rows. */
  readonly cursorRow: number
  readonly cursorColumn: number
}

interface LayoutRequest {
  readonly text: string
  readonly cursor: number
  /** Printed before the first line; later lines are indented by as much. */
  readonly prompt: string
  readonly columns: number
  /** Most rows that may be used. */
  readonly rows: number
}

/** How a character is shown: tabs as spaces, other control characters as ^X. */
function shown(character: string): string {
  if (character === "\t") return "    "
  const code = character.charCodeAt(0)
  return code < 32 || code === 127 ? `^${String.fromCharCode((code + 64) % 128)}` : character
}

interface WrappedLine {
  rows: string[]
  cursorRow: number
  cursorColumn: number
}

/** Wraps one logical line; the cursor is given as an index into it, or -1. */
function wrapLine(line: string, indent: number, columns: number, cursor: number): WrappedLine {
  const wrapped: WrappedLine = { rows: [], cursorRow: -1, cursorColumn: 0 }
  let row = ""
  let width = indent
  const place = (index: number) => {
    if (index !== cursor) return
    wrapped.cursorRow = wrapped.rows.length
    wrapped.cursorColumn = width
  }
  for (const { segment, index } of graphemes.segment(line)) {
    const glyph = shown(segment)
    const glyphWidth = Bun.stringWidth(glyph)
    if (width + glyphWidth > columns - 1 && row !== "") {
      wrapped.rows.push(row)
      row = ""
      width = indent
    }
    place(index)
    row += glyph
    width += glyphWidth
  }
  place(line.length)
  wrapped.rows.push(row)
  return wrapped
}

/** The logical lines near the cursor that can matter on a screen of so many rows. */
function visibleLines(
  text: string,
  cursor: number,
  rows: number,
): { lines: string[]; first: number; cursorLine: number; cursorIndex: number; total: number } {
  const all = text.split("\n")
  const before = text.slice(0, cursor)
  const cursorLine = before.split("\n").length - 1
  const first = Math.max(0, cursorLine - rows)
  const lines = all.slice(first, cursorLine + rows + 1)
  return {
    lines,
    first,
    cursorLine,
    cursorIndex: cursor - (before.lastIndexOf("\n") + 1),
    total: all.length,
  }
}

/** Lays out the prompt and its text; a text longer than the screen is shown around the cursor. */
export function layoutPrompt({ text, cursor, prompt, columns, rows }: LayoutRequest): PromptLayout {
  const indent = Bun.stringWidth(prompt)
  const visible = visibleLines(text, cursor, rows)
  const out: string[] = []
  let cursorRow = 0
  let cursorColumn = indent
  for (const [offset, line] of visible.lines.entries()) {
    const index = visible.first + offset
    const wrapped = wrapLine(
      line,
      indent,
      Math.max(columns, indent + 4),
      index === visible.cursorLine ? visible.cursorIndex : -1,
    )
    if (wrapped.cursorRow !== -1) {
      cursorRow = out.length + wrapped.cursorRow
      cursorColumn = wrapped.cursorColumn
    }
    out.push(
      ...wrapped.rows.map(
        (row, at) => (index === 0 && at === 0 ? prompt : " ".repeat(indent)) + row,
      ),
    )
  }
  const begin = Math.max(0, Math.min(cursorRow - Math.floor(rows / 2), out.length - rows))
  const shownRows = out.slice(begin, begin + rows)
  return { rows: shownRows, cursorRow: cursorRow - begin, cursorColumn }
}
