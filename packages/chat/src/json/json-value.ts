// Plain JavaScript values that remember the JSON they were read from.
import { type JsonNode, parseJsonNode } from "./json-node.ts"

const nodes = new WeakMap<object, JsonNode>()

const toValue = (node: JsonNode): unknown => {
  if (node.kind === "string") return node.value
  if (node.kind === "literal") return JSON.parse(node.text) as unknown
  const value = node.kind === "array" ? node.items.map(toValue) : objectOf(node.members)
  nodes.set(value, node)
  return value
}

const objectOf = (members: ReadonlyMap<string, JsonNode>): object => {
  const object: Record<string, unknown> = {}
  for (const [key, member] of members) {
    // defineProperty, because assigning "__proto__" would replace the prototype instead
    Object.defineProperty(object, key, {
      value: toValue(member),
      enumerable: true,
      writable: true,
      configurable: true,
    })
  }
  return object
}

/**
 * JSON.parse, strict and bounded in depth, whose objects and arrays can be turned back into the
 * text they came from by jsonNodeOf.
 * @throws JsonError with the offset
 */
export const parseJson = (text: string): unknown => toValue(parseJsonNode(text))

/**
 * The JSON of a value: as received when parseJson made it, else as JSON.stringify would write it.
 */
export const jsonNodeOf = (value: unknown): JsonNode => {
  const known = typeof value === "object" && value !== null ? nodes.get(value) : undefined
  return known ?? parseJsonNode(JSON.stringify(value) ?? "null")
}

/** The text parseJson read an object or array from, or the minified JSON of any other value. */
export const jsonSourceOf = (value: unknown): string => {
  const node = jsonNodeOf(value)
  const source = node.kind === "object" || node.kind === "array" ? node.source : undefined
  return source ?? JSON.stringify(value) ?? "null"
}
