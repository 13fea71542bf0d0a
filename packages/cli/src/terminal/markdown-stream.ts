import { openFence, type CodeFence } from "./code-fence.ts"
import { printable } from "./printable.ts"

interface MarkdownScreen {
  write(text: string): void
  columns(): number
  rows(): number
}

/** The head of a frame around code, as the renderer draws one; tables have corners further on. */
const CODE_FRAME = /^[\s│]*┌─(?: \S+)?$/m
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
 * blocks, with nothing in front, so that a selection on the screen is the code.
 */
export class MarkdownStream {
  /** Complete lines of the open block. */
  private lines: string[] = []
  /** The line that is still arriving. */
  private partial = ""
  private fence: CodeFence | undefined

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
    if (this.fence?.holds(line) === false) this.closeFence()
    if (this.fence !== undefined) this.endCodeLine(line, this.fence)
    else {
      const opened = openFence(line)
      if (opened === undefined) this.endTextLine(line)
      else this.begin(opened, line)
    }
  }

  private endTextLine(line: string): void {
    this.lines.push(line)
    this.screen.write("\n")
    const isHeading = /^#{1,6}\s/.test(line)
    if (line.trim() === "" || isHeading || this.liveRows() >= this.screen.rows() - 2) this.commit()
  }

  private begin(fence: CodeFence, line: string): void {
    this.eraseRow(line)
    this.commit()
    this.fence = fence
    const head = [...(fence.marker === "" ? [] : [fence.marker]), "┌─", fence.language]
    this.screen.write(`\x1b[2m${head.join(" ").trimEnd()}\x1b[22m\n`)
  }

  private endCodeLine(line: string, fence: CodeFence): void {
    this.eraseRow(line)
    const code = fence.read(line)
    if (code === undefined) this.closeFence()
    else this.screen.write(`${highlight(code, fence.language)}\n`)
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
    // indented code stays as it was typed: the renderer would put a bar before each line
    if (CODE_FRAME.test(Bun.stripANSI(rendered))) return
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
  const code = body.slice(border + 2)
  return border === -1 || Bun.stripANSI(code) !== line ? line : `${code}\x1b[0m`
}
