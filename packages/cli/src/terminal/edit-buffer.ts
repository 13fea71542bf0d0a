const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })

/** Length in UTF-16 units of the character (grapheme) that ends at `index`. */
function characterBefore(text: string, index: number): number {
  const from = Math.max(0, index - 64) // longest cluster that is taken as one
  const segments = [...graphemes.segment(text.slice(from, index))]
  return segments.at(-1)?.segment.length ?? 0
}

function characterAfter(text: string, index: number): number {
  const next = graphemes
    .segment(text.slice(index, index + 64))
    [Symbol.iterator]()
    .next()
  return next.done === true ? 0 : next.value.segment.length
}

/**
 * A text of any number of lines and a cursor in it: every edit of the prompt, without a terminal.
 */
export class EditBuffer {
  text = ""
  /** UTF-16 index, always on a grapheme boundary. */
  cursor = 0
  private killed = ""
  private undoStack: { text: string; cursor: number }[] = []

  set(text: string, cursor = text.length): void {
    this.text = text
    this.cursor = cursor
  }

  clear(): void {
    this.remember()
    this.set("")
  }

  insert(text: string): void {
    this.remember()
    this.text = this.text.slice(0, this.cursor) + text + this.text.slice(this.cursor)
    this.cursor += text.length
  }

  left(): void {
    this.cursor -= characterBefore(this.text, this.cursor)
  }

  right(): void {
    this.cursor += characterAfter(this.text, this.cursor)
  }

  lineStart(): number {
    return this.text.lastIndexOf("\n", this.cursor - 1) + 1
  }

  lineEnd(): number {
    const end = this.text.indexOf("\n", this.cursor)
    return end === -1 ? this.text.length : end
  }

  home(): void {
    this.cursor = this.lineStart()
  }

  end(): void {
    this.cursor = this.lineEnd()
  }

  /** Moves to the line above or below, keeping the column; false at the first or last line. */
  vertical(direction: -1 | 1): boolean {
    const start = this.lineStart()
    const column = this.cursor - start
    if (direction === -1) {
      if (start === 0) return false
      const above = this.text.lastIndexOf("\n", start - 2) + 1
      this.cursor = Math.min(above + column, start - 1)
    } else {
      const end = this.lineEnd()
      if (end === this.text.length) return false
      const belowEnd = this.text.indexOf("\n", end + 1)
      this.cursor = Math.min(end + 1 + column, belowEnd === -1 ? this.text.length : belowEnd)
    }
    this.alignToCharacter()
    return true
  }

  wordLeft(): void {
    this.cursor = wordStart(this.text.slice(0, this.cursor))
  }

  wordRight(): void {
    const after = this.text.slice(this.cursor)
    this.cursor += /^[^\p{L}\p{N}_]*[\p{L}\p{N}_]*/u.exec(after)?.[0].length ?? 0
  }

  deleteLeft(): void {
    this.remove(this.cursor - characterBefore(this.text, this.cursor), this.cursor)
  }

  deleteRight(): void {
    this.remove(this.cursor, this.cursor + characterAfter(this.text, this.cursor))
  }

  /** Removes a stretch for later yank. */
  kill(to: "line-start" | "line-end" | "word-left" | "word-right" | "space-left"): void {
    const from = this.cursor
    if (to === "line-start") this.home()
    else if (to === "line-end")
      this.cursor = this.text.charAt(from) === "\n" ? from + 1 : this.lineEnd()
    else if (to === "word-left") this.wordLeft()
    else if (to === "word-right") this.wordRight()
    else this.cursor = this.text.slice(0, from).replace(/\S*\s*$/, "").length
    const [begin, end] = [Math.min(from, this.cursor), Math.max(from, this.cursor)]
    this.cursor = from
    if (begin === end) return
    this.killed = this.text.slice(begin, end)
    this.remove(begin, end)
  }

  yank(): void {
    this.insert(this.killed)
  }

  /** Swaps the two characters around the cursor. */
  transpose(): void {
    if (this.cursor === this.text.length) this.left()
    const before = characterBefore(this.text, this.cursor)
    const after = characterAfter(this.text, this.cursor)
    if (before === 0 || after === 0) return
    this.remember()
    const at = this.cursor
    const swapped = this.text.slice(at, at + after) + this.text.slice(at - before, at)
    this.text = this.text.slice(0, at - before) + swapped + this.text.slice(at + after)
    this.cursor = at + after
  }

  undo(): void {
    const last = this.undoStack.pop()
    if (last !== undefined) this.set(last.text, last.cursor)
  }

  private remove(begin: number, end: number): void {
    if (begin === end) return
    this.remember()
    this.text = this.text.slice(0, begin) + this.text.slice(end)
    this.cursor = begin
  }

  private remember(): void {
    this.undoStack.push({ text: this.text, cursor: this.cursor })
    if (this.undoStack.length > 100) this.undoStack.shift()
  }

  private alignToCharacter(): void {
    const start = this.lineStart()
    let at = start
    while (at < this.cursor) {
      const next = at + characterAfter(this.text, at)
      if (next > this.cursor || next === at) break
      at = next
    }
    this.cursor = at
  }
}

/** Start of the last word in a text. */
function wordStart(text: string): number {
  return text.replace(/[\p{L}\p{N}_]*[^\p{L}\p{N}_]*$/u, "").length
}
