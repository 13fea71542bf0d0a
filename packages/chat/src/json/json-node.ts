// JSON with the facts that JSON.parse loses and a prompt needs. These are the order of keys that
// look like integers, the spelling of numbers, and the received text of an object.
import { JsonError, JsonLexer } from "./json-lexer.ts"
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

class NodeReader {
  private readonly lexer: JsonLexer
  private depth = 0
  constructor(text: string) {
    this.lexer = new JsonLexer(text)
  }

  private object(begin: number): JsonNode {
    const { lexer } = this
    const members = new Map<string, JsonNode>()
    if (!lexer.accept("}")) {
      do {
        const key = lexer.string()
        if (!lexer.accept(":")) throw lexer.fail('":"')
        members.set(key, this.value())
      } while (lexer.accept(","))
      if (!lexer.accept("}")) throw lexer.fail('"," or "}"')
    }
    return { kind: "object", members, source: lexer.text.slice(begin, lexer.index) }
  }

  private array(begin: number): JsonNode {
    const { lexer } = this
    const items: JsonNode[] = []
    if (!lexer.accept("]")) {
      do items.push(this.value())
      while (lexer.accept(","))
      if (!lexer.accept("]")) throw lexer.fail('"," or "]"')
    }
    return { kind: "array", items, source: lexer.text.slice(begin, lexer.index) }
  }

  private value(): JsonNode {
    const { lexer } = this
    const first = lexer.peek()
    const begin = lexer.index
    if (first === "{" || first === "[") {
      if (++this.depth > MAX_JSON_DEPTH) throw tooDeep(begin)
      lexer.index++
      const node = first === "{" ? this.object(begin) : this.array(begin)
      this.depth--
      return node
    }
    return first === '"'
      ? { kind: "string", value: lexer.string() }
      : { kind: "literal", text: lexer.literal() }
  }

  document(): JsonNode {
    const node = this.value()
    this.lexer.end()
    return node
  }
}

export const tooDeep = (offset: number): JsonError =>
  new JsonError(offset, `JSON nests deeper than ${MAX_JSON_DEPTH} levels at offset ${offset}`)

/**
 * Strict JSON. Of a repeated key the last value counts, at the first one's place. @throws JsonError
 * with the offset
 */
export const parseJsonNode = (text: string): JsonNode => new NodeReader(text).document()

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
