// JSON with the facts that JSON.parse loses and a prompt needs. These are the order of keys that
// look like integers, the spelling of numbers, and the received text of an object.
import { pythonNumber } from "./python-number.ts"

/** Deeper documents are refused: the readers recurse, and no legitimate document nests so far. */
export const MAX_JSON_DEPTH = 128

export type JsonNode =
  | {
      readonly kind: "object"
      readonly members: ReadonlyMap<string, JsonNode>
      readonly source: string | undefined
    }
  | {
      readonly kind: "array"
      readonly items: readonly JsonNode[]
      readonly source: string | undefined
    }
  | { readonly kind: "string"; readonly value: string }
  /** A number, true, false or null, spelled as received. */
  | { readonly kind: "literal"; readonly text: string }

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

class Reader {
  private index = 0
  private depth = 0
  constructor(private readonly text: string) {}

  private fail(expected: string): JsonError {
    const found =
      this.index < this.text.length
        ? JSON.stringify(this.text.slice(this.index, this.index + 12))
        : "the end"
    return new JsonError(
      this.index,
      `invalid JSON at offset ${this.index}: expected ${expected}, found ${found}`,
    )
  }

  private skipSpace(): void {
    for (;;) {
      const unit = this.text.charCodeAt(this.index)
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return
      this.index++
    }
  }

  private accept(character: string): boolean {
    this.skipSpace()
    if (this.text[this.index] !== character) return false
    this.index++
    return true
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.index
    const found = pattern.exec(this.text)
    if (found === null) return undefined
    this.index = pattern.lastIndex
    return found[0]
  }

  private string(): string {
    this.skipSpace()
    const plain = this.match(PLAIN_STRING)
    if (plain !== undefined) return plain.slice(1, -1)
    return this.escapedString()
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

  private object(begin: number): JsonNode {
    const members = new Map<string, JsonNode>()
    if (!this.accept("}")) {
      do {
        const key = this.string()
        if (!this.accept(":")) throw this.fail('":"')
        members.set(key, this.value())
      } while (this.accept(","))
      if (!this.accept("}")) throw this.fail('"," or "}"')
    }
    return { kind: "object", members, source: this.text.slice(begin, this.index) }
  }

  private array(begin: number): JsonNode {
    const items: JsonNode[] = []
    if (!this.accept("]")) {
      do items.push(this.value())
      while (this.accept(","))
      if (!this.accept("]")) throw this.fail('"," or "]"')
    }
    return { kind: "array", items, source: this.text.slice(begin, this.index) }
  }

  private value(): JsonNode {
    this.skipSpace()
    const begin = this.index
    const first = this.text[begin]
    if (first === "{" || first === "[") {
      if (++this.depth > MAX_JSON_DEPTH)
        throw new JsonError(
          begin,
          `JSON nests deeper than ${MAX_JSON_DEPTH} levels at offset ${begin}`,
        )
      this.index++
      const node = first === "{" ? this.object(begin) : this.array(begin)
      this.depth--
      return node
    }
    if (first === '"') return { kind: "string", value: this.string() }
    const literal = this.match(LITERAL)
    if (literal === undefined) throw this.fail("a JSON value")
    return { kind: "literal", text: literal }
  }

  document(): JsonNode {
    const node = this.value()
    this.skipSpace()
    if (this.index < this.text.length) throw this.fail("the end of the document")
    return node
  }
}

/**
 * Strict JSON. Of a repeated key the last value counts, at the first one's place. @throws JsonError
 * with the offset
 */
export const parseJsonNode = (text: string): JsonNode => new Reader(text).document()

/** The same, with undefined in place of the error. */
export const tryParseJsonNode = (text: string): JsonNode | undefined => {
  try {
    return parseJsonNode(text)
  } catch (error) {
    if (error instanceof JsonError) return undefined
    throw error
  }
}

/**
 * spaced: as the vendor's encoder writes, with `", "`, `": "` and Python's numbers; minified: no
 * white space, numbers as received. Non-ASCII is kept.
 */
type JsonStyle = "spaced" | "minified"

const isNumber = (literal: string): boolean => /^[-0-9]/.test(literal)

export const writeJsonNode = (node: JsonNode, style: JsonStyle): string => {
  if (node.kind === "literal")
    return style === "spaced" && isNumber(node.text) ? pythonNumber(node.text) : node.text
  if (node.kind === "string") return JSON.stringify(node.value)
  const comma = style === "spaced" ? ", " : ","
  if (node.kind === "array")
    return `[${node.items.map((item) => writeJsonNode(item, style)).join(comma)}]`
  const colon = style === "spaced" ? ": " : ":"
  const members = Array.from(
    node.members,
    ([key, value]) => `${JSON.stringify(key)}${colon}${writeJsonNode(value, style)}`,
  )
  return `{${members.join(comma)}}`
}

const literalsEqual = (a: string, b: string): boolean => {
  if (a === b) return true
  const value = Number(a)
  // Beyond 2^53 different integers share a double: only the same spelling is surely the same
  // number.
  return value === Number(b) && Math.abs(value) <= Number.MAX_SAFE_INTEGER
}

/** Equal as values: key order, spacing and the spelling of numbers do not matter. */
export const jsonNodesEqual = (a: JsonNode, b: JsonNode): boolean => {
  if (a.kind === "object" && b.kind === "object") {
    if (a.members.size !== b.members.size) return false
    for (const [key, value] of a.members) {
      const other = b.members.get(key)
      if (other === undefined || !jsonNodesEqual(value, other)) return false
    }
    return true
  }
  if (a.kind === "array" && b.kind === "array") {
    return (
      a.items.length === b.items.length &&
      a.items.every((item, index) => jsonNodesEqual(item, b.items[index] ?? item))
    )
  }
  if (a.kind === "string" && b.kind === "string") return a.value === b.value
  return a.kind === "literal" && b.kind === "literal" && literalsEqual(a.text, b.text)
}
