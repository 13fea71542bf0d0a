import type { AnswerUsage } from "@ds4/chat"
import { Progress } from "@ds4/progress"
import { dim, type Io } from "../io.ts"
import { MarkdownStream } from "../terminal/markdown-stream.ts"
import { printable } from "../terminal/printable.ts"
import { progressOf } from "../progress-of.ts"
import { statsLine } from "./stats-line.ts"

interface AnswerViewOptions {
  readonly io: Io
  /** Render markdown; otherwise the text goes out as it comes. */
  readonly isRendered: boolean
  readonly showsReasoning: boolean
  readonly showsStats: boolean
  /** Show how far the prompt has been read. */
  readonly showsProgress: boolean
  readonly rows: () => number
}

/** Shows one answer while it arrives. The answer goes to stdout, everything about it to stderr. */
export class AnswerView {
  private readonly markdown: MarkdownStream | undefined
  private readonly startMs = performance.now()
  private firstTokenMs: number | undefined
  private isReading = false
  private isInReasoning = false
  private reasoningStartMs = 0
  private readonly progress: Progress
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
    this.progress = options.showsProgress ? progressOf(io) : new Progress(undefined)
    this.progress.begin({ label: "waiting for the model" })
    this.markdown = options.isRendered ? new MarkdownStream(screen) : undefined
  }

  prefill(processed: number, total: number): void {
    if (this.firstTokenMs !== undefined) return
    if (!this.isReading) this.progress.begin({ label: "reading", unit: "tokens", total })
    this.isReading = true
    this.progress.update(processed)
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
    this.progress.stop()
    this.leaveReasoning()
    this.markdown?.end()
    if (this.markdown === undefined && !this.endsWithNewline) this.options.io.out("\n")
    this.endsWithNewline = true
  }

  private first(): void {
    this.firstTokenMs ??= performance.now() - this.startMs
    this.progress.stop()
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
