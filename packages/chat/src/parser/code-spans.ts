// Follows Markdown code in growing text: a tag inside of it is a sample, never a call.
import { PARTIAL } from "./text-search.ts"

/** Blanks, quote marks and a list marker may stand before a fence. */
const BEFORE_FENCE = /^[\s>]*(?:(?:[-*+]|\d{1,9}[.)])\s+)?$/
/** Longer beginnings of a line are no such. */
const MAX_PREFIX_UNITS = 80

const NEWLINE = 0x0a
const BACKTICK = 0x60
const TILDE = 0x7e

interface Fence {
  readonly character: string
  readonly length: number
}

export class CodeSpans {
  private fence: Fence | undefined
  /** The line opened the fence: a second run of backticks on it shows that it is a span. */
  private isOpeningLine = false
  /** A run of marks would close the fence if only blanks follow it on its line. */
  private isClosing = false
  /** Length of the run of backticks that began a code span on this line; 0: none. */
  private span = 0
  /** The line so far; undefined once no fence may follow it. */
  private linePrefix: string | undefined = ""
  /** The run of marks that the text followed so far ends in. */
  private runUnit = 0
  private runLength = 0
  /** Index in the owner's buffer up to which text has been followed. */
  private followed = 0

  /** The owner took this text from the start of its buffer, as part of the answer. */
  take(text: string): void {
    if (text.length > this.followed) this.follow(text, this.followed, text.length)
    this.followed = Math.max(0, this.followed - text.length)
  }

  /** The owner took something that is no text: a line begins. */
  startLine(): void {
    this.endRun()
    this.followed = 0
    this.endLine()
  }

  /** Whether the `<` at `index` is code; "partial" when the rest of its line decides that. */
  isCodeAt(text: string, index: number): boolean | typeof PARTIAL {
    if (index > this.followed) {
      this.follow(text, this.followed, index)
      this.followed = index
    }
    this.endRun()
    if (this.fence !== undefined) return true
    if (this.span === 0) return false
    return this.closesSpan(text, index)
  }

  private follow(text: string, begin: number, end: number): void {
    for (let at = begin; at < end; at++) {
      const unit = text.charCodeAt(at)
      if (unit === this.runUnit) {
        this.runLength++
        continue
      }
      this.endRun()
      if (unit === BACKTICK || unit === TILDE) {
        this.runUnit = unit
        this.runLength = 1
      } else if (unit === NEWLINE) this.endLine()
      else if (this.isClosing || this.linePrefix !== undefined) this.plain(text.charAt(at))
    }
  }

  private plain(character: string): void {
    if (this.isClosing && character.trim() !== "") this.isClosing = false
    if (this.linePrefix === undefined) return
    const isOver = this.linePrefix.length >= MAX_PREFIX_UNITS || !/[\s>*+.)\d-]/.test(character)
    this.linePrefix = isOver ? undefined : this.linePrefix + character
  }

  private endRun(): void {
    const { runUnit, runLength } = this
    if (runLength === 0) return
    this.runUnit = this.runLength = 0
    if (runUnit === BACKTICK || runLength >= 3) this.run(String.fromCharCode(runUnit), runLength)
    else this.plain("~")
  }

  private run(character: string, length: number): void {
    const isFirst = this.linePrefix !== undefined && BEFORE_FENCE.test(this.linePrefix)
    this.linePrefix = undefined
    const { fence } = this
    if (fence === undefined) {
      if (isFirst && length >= 3) {
        this.fence = { character, length }
        this.isOpeningLine = true
      } else if (character === "`") this.span = this.toggled(length)
      return
    }
    if (this.isOpeningLine) {
      if (fence.character !== "`" || character !== "`") return
      this.span = fence.length
      this.fence = undefined
      this.span = this.toggled(length)
      return
    }
    this.isClosing = isFirst && character === fence.character && length >= fence.length
  }

  private toggled(length: number): number {
    if (this.span === 0) return length
    return this.span === length ? 0 : this.span
  }

  private endLine(): void {
    if (this.isClosing) this.fence = undefined
    this.isClosing = this.isOpeningLine = false
    this.span = 0
    this.linePrefix = ""
  }

  /** An unclosed backtick is no code. */
  private closesSpan(text: string, index: number): boolean | typeof PARTIAL {
    const newline = text.indexOf("\n", index)
    const line = text.slice(index, newline < 0 ? text.length : newline)
    for (const { 0: marks, index: at } of line.matchAll(/`+/g)) {
      const isCut = newline < 0 && at + marks.length === line.length
      if (marks.length === this.span) return isCut ? PARTIAL : true
    }
    return newline < 0 ? PARTIAL : false
  }
}
