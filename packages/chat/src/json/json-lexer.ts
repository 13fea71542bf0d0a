// The words of a JSON text, one after another, strictly as the standard has them.
export class JsonError extends Error {
  override readonly name = "JsonError"
  constructor(
    /** In UTF-16 units from the start of the text. */
    readonly offset: number,
    message: string,
  ) {
    super(message)
  }
}

const LITERAL = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
// Without escapes, which is nearly always, the value is a plain slice.
// oxlint-disable-next-line no-control-regex -- JSON forbids raw control characters inside strings
const PLAIN_STRING = /"[^"\\\u0000-\u001f]*"/y

export class JsonLexer {
  index = 0
  constructor(readonly text: string) {}

  fail(expected: string): JsonError {
    const found =
      this.index < this.text.length
        ? JSON.stringify(this.text.slice(this.index, this.index + 12))
        : "the end"
    return new JsonError(
      this.index,
      `invalid JSON at offset ${this.index}: expected ${expected}, found ${found}`,
    )
  }

  /** The next character that is no space, or undefined at the end. */
  peek(): string | undefined {
    for (;;) {
      const unit = this.text.charCodeAt(this.index)
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) break
      this.index++
    }
    return this.text[this.index]
  }

  accept(character: string): boolean {
    if (this.peek() !== character) return false
    this.index++
    return true
  }

  string(): string {
    this.peek()
    const plain = this.match(PLAIN_STRING)
    if (plain !== undefined) return plain.slice(1, -1)
    return this.escapedString()
  }

  /** A number, true, false or null, spelled as received. */
  literal(): string {
    const literal = this.match(LITERAL)
    if (literal === undefined) throw this.fail("a JSON value")
    return literal
  }

  /** @throws JsonError if anything but space is left */
  end(): void {
    if (this.peek() !== undefined) throw this.fail("the end of the document")
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.index
    const found = pattern.exec(this.text)
    if (found === null) return undefined
    this.index = pattern.lastIndex
    return found[0]
  }

  /**
   * Not by a pattern: repeating an alternation over megabytes exhausts the regular expression
   * engine.
   */
  private escapedString(): string {
    const begin = this.index
    if (this.text[begin] !== '"') throw this.fail("a string")
    let end = this.text.indexOf('"', begin + 1)
    while (end >= 0 && this.isEscaped(end)) end = this.text.indexOf('"', end + 1)
    if (end < 0) throw this.fail("a string with its closing quote")
    try {
      // a JSON string literal or a SyntaxError
      const value = JSON.parse(this.text.slice(begin, end + 1)) as string
      this.index = end + 1
      return value
    } catch {
      throw this.fail("a string without control characters and unknown escapes")
    }
  }

  /** Whether an odd number of backslashes stands before `index`. */
  private isEscaped(index: number): boolean {
    let backslashes = 0
    while (this.text[index - 1 - backslashes] === "\\") backslashes++
    return backslashes % 2 === 1
  }
}
