import type { AnswerUsage } from "@ds4/chat"
import { dim, type Io } from "../io.ts"
import { MarkdownStream } from "../terminal/markdown-stream.ts"
import { printable } from "../terminal/printable.ts"
import { prefillLine, statsLine } from "./stats-line.ts"

interface AnswerViewOptions {
  readonly io: Io
  /** Render markdown; otherwise the text goes out as it comes. */
  readonly isRendered: boolean
  readonly showsReasoning: boolean
  readonly showsStats: boolean
  readonly rows: () => number
}

const PREFILL_SILENCE_MS = 300 // a prompt read faster than this needs no progress line

/** Shows one answer while it arrives. The answer goes to stdout, everything about it to stderr. */
export class AnswerView {
  private readonly markdown: MarkdownStream | undefined
  private readonly startMs = performance.now()
  private firstTokenMs: number | undefined
  private isInReasoning = false
  private reasoningStartMs = 0
  private hasProgressLine = false
  private endsWithNewline = true
  showsReasoning: boolean

  constructor(private readonly options: AnswerViewOptions) {
    const { io } = options
    this.showsReasoning = options.showsReasoning
    const screen = {
      write: (text: string) => io.out(text),
      columns: () => io.columns(),
      rows: options.rows,
    }
    this.markdown = options.isRendered ? new MarkdownStream(screen) : undefined
  }

  prefill(processed: number, total: number): void {
    const elapsedMs = performance.now() - this.startMs
    if (!this.options.io.isErrorTerminal || elapsedMs < PREFILL_SILENCE_MS) return
    this.hasProgressLine = true
    this.options.io.err(`\r${dim(this.options.io, prefillLine(processed, total, elapsedMs))}\x1b[K`)
  }

  reasoning(text: string): void {
    this.first()
    if (!this.isInReasoning) {
      this.isInReasoning = true
      this.reasoningStartMs = performance.now()
      if (!this.showsReasoning) this.options.io.err(dim(this.options.io, "thinking…"))
    }
    if (!this.showsReasoning) return
    this.options.io.err(dim(this.options.io, printable(text)))
    this.endsWithNewline = text.endsWith("\n")
  }

  content(text: string): void {
    this.first()
    this.leaveReasoning()
    if (this.markdown !== undefined) this.markdown.push(text)
    else this.options.io.out(this.options.io.isOutputTerminal ? printable(text) : text)
    this.endsWithNewline = text.endsWith("\n")
  }

  /** A line about the answer, such as why it stopped. */
  remark(text: string): void {
    this.finishText()
    this.options.io.err(`${dim(this.options.io, text)}\n`)
  }

  end(usage: AnswerUsage | undefined): void {
    this.finishText()
    if (usage !== undefined && this.options.showsStats)
      this.options.io.err(`${dim(this.options.io, statsLine(usage, this.firstTokenMs))}\n`)
  }

  private finishText(): void {
    this.clearProgress()
    this.leaveReasoning()
    this.markdown?.end()
    if (this.markdown === undefined && !this.endsWithNewline) this.options.io.out("\n")
    this.endsWithNewline = true
  }

  private first(): void {
    this.firstTokenMs ??= performance.now() - this.startMs
    this.clearProgress()
  }

  private clearProgress(): void {
    if (this.hasProgressLine) this.options.io.err("\r\x1b[K")
    this.hasProgressLine = false
  }

  private leaveReasoning(): void {
    if (!this.isInReasoning) return
    this.isInReasoning = false
    const seconds = Math.round((performance.now() - this.reasoningStartMs) / 1000)
    const { io } = this.options
    if (this.showsReasoning) io.err(this.endsWithNewline ? "\n" : "\n\n")
    else io.err(`${io.isErrorTerminal ? "\r\x1b[K" : " "}${dim(io, `thought for ${seconds} s`)}\n`)
    this.endsWithNewline = true
  }
}
