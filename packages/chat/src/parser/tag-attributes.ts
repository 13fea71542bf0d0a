// The attributes of a tag up to its bracket, with the quotes and brackets that models forget.
import { PARTIAL } from "./text-search.ts"

interface Attributes {
  /** By key in lower case. */
  readonly values: ReadonlyMap<string, string>
  readonly bare: readonly string[]
  readonly isSelfClosing: boolean
  /** Spelled as trained. */
  readonly isRegular: boolean
  readonly end: number
}

/**
 * No sane tag is longer; without a bound a missing bracket would hold back everything that follows.
 */
export const MAX_TAG_UNITS = 4096
/** Prose after a name is no list of attributes. */
const MAX_BARE = 2

const SPACE = /[\s,;]/
const QUOTE = /["'`\u00b4\u201c\u201d\u201e\u201f\u2018\u2019\u00ab\u00bb]/
const KEY_CHARACTER = /[A-Za-z0-9_-]/
const UNQUOTED_END = /[\s>"'<]/
/** Characters that may follow a closing quote. */
const AFTER_VALUE = /[\s>/,;<]/
/** The same, or the next key, before which the blank is missing. */
const VALUE_END = /^(?:[\s>/,;<]|[A-Za-z_]+ ?=)/
const TRAINED_TAIL = /" string="(?:true|false)">/

const isTypographic = (quote: string): boolean => quote !== '"' && quote !== "'"
const closes = (open: string, candidate: string): boolean =>
  isTypographic(open) ? QUOTE.test(candidate) : candidate === open

interface Value {
  readonly text: string
  readonly end: number
  readonly isRegular: boolean
}

const lineEnd = (text: string, index: number): number => {
  const end = text.indexOf("\n", index)
  return end < 0 ? text.length : end
}

/** End of the line, or of the part of it before the next tag. */
const repairLimit = (text: string, index: number): number => {
  const end = lineEnd(text, index)
  const tag = text.indexOf("<", index)
  return tag >= 0 && tag < end ? tag : end
}

/** A value whose quote is missing, of another kind, or repeated inside it. */
const repairValue = (text: string, begin: number): Value | typeof PARTIAL | undefined => {
  const end = repairLimit(text, begin)
  const line = text.slice(begin, end)
  // A name that holds a quote is still read when the rest is spelled as trained.
  const tail = TRAINED_TAIL.exec(line)
  if (tail !== null)
    return { text: line.slice(0, tail.index), end: begin + tail.index + 1, isRegular: true }
  if (end === text.length && line.length <= MAX_TAG_UNITS) return PARTIAL
  for (let at = 0; at < line.length; at++) {
    const character = line.charAt(at)
    const isQuote =
      QUOTE.test(character) && VALUE_END.test(text.slice(begin + at + 1, begin + at + 40))
    if (!isQuote && !/[\s>]/.test(character)) continue
    const textEnd = begin + at + (isQuote ? 1 : 0)
    return { text: line.slice(0, at), end: textEnd, isRegular: false }
  }
  return { text: line, end, isRegular: false }
}

const readQuoted = (text: string, index: number): Value | typeof PARTIAL | undefined => {
  const quote = text.charAt(index)
  const begin = index + 1
  const limit = lineEnd(text, begin)
  let end = begin
  while (end < limit && !closes(quote, text.charAt(end))) end++
  if (end - begin > MAX_TAG_UNITS) return undefined
  if (end === limit) return limit === text.length ? PARTIAL : repairValue(text, begin)
  if (end + 1 === text.length) return PARTIAL
  if (!AFTER_VALUE.test(text.charAt(end + 1))) return repairValue(text, begin)
  return { text: text.slice(begin, end), end: end + 1, isRegular: !isTypographic(quote) }
}

const readValue = (text: string, index: number): Value | typeof PARTIAL | undefined => {
  if (index >= text.length) return PARTIAL
  if (QUOTE.test(text.charAt(index))) return readQuoted(text, index)
  let end = index
  while (end < text.length && !UNQUOTED_END.test(text.charAt(end))) end++
  if (end >= text.length) return end - index > MAX_TAG_UNITS ? undefined : PARTIAL
  if (text[end] === ">" && text[end - 1] === "/") end--
  return end === index ? undefined : { text: text.slice(index, end), end, isRegular: false }
}

class AttributeReader {
  private readonly values = new Map<string, string>()
  private readonly bare: string[] = []
  private isRegular = true
  private index: number

  constructor(
    private readonly text: string,
    private readonly begin: number,
    /** A missing bracket is supplied where the next tag begins. */
    private readonly suppliesBracket: boolean,
  ) {
    this.index = begin
  }

  read(): Attributes | typeof PARTIAL | undefined {
    for (;;) {
      this.skipSpace()
      if (this.index - this.begin > MAX_TAG_UNITS) return undefined
      if (this.index >= this.text.length) return PARTIAL
      const character = this.text.charAt(this.index)
      if (character === ">") return this.finish(this.index + 1, false)
      if (character === "<") {
        if (!this.suppliesBracket) return undefined
        this.isRegular = false
        return this.finish(this.index, false)
      }
      if (character === "/") {
        this.index++
        this.skipSpace()
        if (this.index >= this.text.length) return PARTIAL
        if (this.text[this.index] !== ">") return undefined
        return this.finish(this.index + 1, true)
      }
      const failure = this.attribute(character)
      if (failure !== true) return failure
    }
  }

  private skipSpace(): void {
    while (this.index < this.text.length && SPACE.test(this.text.charAt(this.index))) {
      if (/[,;]/.test(this.text.charAt(this.index))) this.isRegular = false
      this.index++
    }
  }

  private finish(end: number, isSelfClosing: boolean): Attributes {
    const { values, bare, isRegular } = this
    return { values, bare, isSelfClosing, isRegular: isRegular && !isSelfClosing, end }
  }

  /** Reads one `key="value"`, a bare value or a bare key; true when the tag goes on. */
  private attribute(character: string): true | typeof PARTIAL | undefined {
    if (character === "=" || QUOTE.test(character))
      return this.take(undefined, character === "=" ? this.index + 1 : this.index)
    const begin = this.index
    while (this.index < this.text.length && KEY_CHARACTER.test(this.text.charAt(this.index)))
      this.index++
    const key = this.text.slice(begin, this.index)
    if (key === "") return undefined
    const separator = this.separatorAt(this.index)
    if (separator === PARTIAL) return PARTIAL
    if (separator !== undefined) return this.take(key, separator + 1)
    this.isRegular = false
    this.bare.push(key)
    return this.bare.length > MAX_BARE ? undefined : true
  }

  /** Index of the `=` after a key, blanks before it allowed; a colon counts as one. */
  private separatorAt(index: number): number | typeof PARTIAL | undefined {
    let at = index
    while (this.text[at] === " ") at++
    if (at >= this.text.length) return PARTIAL
    const character = this.text[at]
    if (character !== "=" && character !== ":") return undefined
    if (at > index || character === ":") this.isRegular = false
    return at
  }

  private take(key: string | undefined, index: number): true | typeof PARTIAL | undefined {
    let begin = index
    while (this.text[begin] === " ") begin++
    // Quotes escaped as in JSON.
    const isEscaped = this.text[begin] === "\\"
    if (isEscaped) begin++
    if (begin > index) this.isRegular = false
    const read = readValue(this.text, begin)
    if (read === undefined || read === PARTIAL) return read
    const value = isEscaped ? { ...read, text: read.text.replace(/\\$/, "") } : read
    if (!value.isRegular || key === undefined) this.isRegular = false
    if (key === undefined) this.bare.push(value.text)
    else this.values.set(key.toLowerCase(), value.text)
    this.index = value.end
    return this.bare.length > MAX_BARE ? undefined : true
  }
}

/** Reads from the end of a tag's name up to and including its bracket. */
export const readAttributes = (
  text: string,
  index: number,
  suppliesBracket: boolean,
): Attributes | typeof PARTIAL | undefined =>
  new AttributeReader(text, index, suppliesBracket).read()
