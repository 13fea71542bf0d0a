import { printable } from "./printable.ts"

interface MarkdownScreen {
  write(text: string): void
  columns(): number
  rows(): number
}

const FENCE = /^\s{0,3}(```+|~~~+)\s*([\w+#.-]*)/
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })

/** Screen rows that a line takes when the terminal wraps it. */
export function rowsOf(line: string, columns: number): number {
  let rows = 1
  let width = 0
  for (const { segment } of graphemes.segment(line)) {
    const glyph = segment === "\t" ? 8 - (width % 8) : Bun.stringWidth(segment)
    if (width + glyph > columns) {
      rows += 1
      width = 0
    }
    width += glyph
  }
  return rows
}

/**
 * Renders markdown while it arrives. The open block is shown as it was typed; when it ends it is
 * drawn over, rendered. What has been rendered is never touched again. Lines of code are their own
 * blocks.
 */
export class MarkdownStream {
  /** Complete lines of the open block. */
  private lines: string[] = []
  /** The line that is still arriving. */
  private partial = ""
  private fence: { mark: string; language: string } | undefined

  constructor(private readonly screen: MarkdownScreen) {}

  push(text: string): void {
    const pieces = printable(text).split("\n")
    for (const [index, piece] of pieces.entries()) {
      this.partial += piece
      this.screen.write(piece)
      if (index < pieces.length - 1) this.endLine()
    }
  }

  /** Renders what is left; the cursor ends at the start of a row. */
  end(): void {
    if (this.partial !== "") this.endLine()
    this.commit()
    if (this.fence !== undefined) this.closeFence()
  }

  private endLine(): void {
    const line = this.partial
    this.partial = ""
    if (this.fence !== undefined) this.endCodeLine(line, this.fence)
    else if (FENCE.test(line)) this.openFence(line)
    else this.endTextLine(line)
  }

  private endTextLine(line: string): void {
    this.lines.push(line)
    this.screen.write("\n")
    const isHeading = /^#{1,6}\s/.test(line)
    if (line.trim() === "" || isHeading || this.liveRows() >= this.screen.rows() - 2) this.commit()
  }

  private openFence(line: string): void {
    this.eraseRow(line)
    this.commit()
    const [, mark = "```", language = ""] = FENCE.exec(line) ?? []
    this.fence = { mark, language }
    this.screen.write(`\x1b[2m┌─ ${language}\x1b[22m\n`)
  }

  private endCodeLine(line: string, fence: { mark: string; language: string }): void {
    this.eraseRow(line)
    if (
      line.trim().startsWith(fence.mark) &&
      line.trim().replaceAll(fence.mark.charAt(0), "") === ""
    )
      this.closeFence()
    else this.screen.write(`\x1b[2m│\x1b[22m ${highlight(line, fence.language)}\n`)
  }

  private closeFence(): void {
    this.fence = undefined
    this.screen.write("\x1b[2m└─\x1b[22m\n")
  }

  /** Draws the rendered form over the open block's raw lines. */
  private commit(): void {
    if (this.lines.length === 0) return
    const rows = this.liveRows()
    const source = this.lines.join("\n")
    this.lines = []
    if (source.trim() === "") return // an empty line stays as it is
    if (rows >= this.screen.rows()) return // scrolled away: what stands there stays
    const isFollowedByBlank = source.endsWith("\n")
    const rendered = Bun.markdown
      .ansi(source, { columns: this.screen.columns() })
      .replace(/^\n+|\n+$/g, "")
    this.screen.write(`\x1b[${rows}A\r\x1b[J${rendered}\n${isFollowedByBlank ? "\n" : ""}`)
  }

  private liveRows(): number {
    return this.lines.reduce((sum, line) => sum + rowsOf(line, this.screen.columns()), 0)
  }

  /** Erases the line the cursor is at the end of. */
  private eraseRow(line: string): void {
    const up = rowsOf(line, this.screen.columns()) - 1
    this.screen.write(`${up > 0 ? `\x1b[${up}A` : ""}\r\x1b[J`)
  }
}

/** One line of code with the colours of its language. */
function highlight(line: string, language: string): string {
  if (line.trim() === "" || language === "" || line.includes("```")) return line
  const block = Bun.markdown.ansi(`\`\`\`${language}\n${line}\n\`\`\``, { columns: 0 }).split("\n")
  const body = block[1]
  if (block.length < 3 || body === undefined) return line
  const border = body.indexOf("│ ")
  return border === -1 ? line : `${body.slice(border + 2)}\x1b[0m`
}
