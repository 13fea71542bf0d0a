// A parameter of a call, and the JSON that its text becomes.
import { tryParseJsonNode, writeJsonNode } from "../json/json-node.ts"
import { closestName } from "./closest-name.ts"
import { unescapeClosingTag } from "./closing-tag-escape.ts"
import type { Tag } from "./tags.ts"

/** A parameter whose closing tag is still to come. */
export interface BlockParameter {
  /** Undefined: its tag has no name, and its value is left out. */
  readonly key: string | undefined
  /** unknown: neither the `string` attribute nor the first character has been seen. */
  kind: "unknown" | "string" | "json" | "object"
  /** The marker of its opener, which its closer shares. */
  readonly marker: string
  text: string
  /** JSON of the members of an object, by key. */
  readonly children: Map<string, string>
}

interface ParameterValue {
  readonly json: string
  /** The text was no JSON, although it was marked as such. */
  readonly isRepaired: boolean
}

/** The tool or the argument that a tag names. */
export const nameIn = ({ attributes, bare }: Tag): string | undefined =>
  attributes.get("name") ?? attributes.get("tool") ?? attributes.get("key") ?? bare[0]

/** Types of JSON schema that some models write in the place of the `string` attribute. */
const JSON_TYPES: ReadonlySet<string> = new Set([
  "number",
  "integer",
  "boolean",
  "object",
  "array",
  "null",
])

/** @param properties names of the tool's arguments, of which a misspelled key means one */
export const openedParameter = (tag: Tag, properties: ReadonlySet<string>): BlockParameter => {
  const name = nameIn(tag)
  const key = name === undefined ? undefined : (closestName(properties, name) ?? name)
  const mark = tag.attributes.get("string")?.trim().toLowerCase()
  const type = tag.attributes.get("type")?.trim().toLowerCase()
  const isJson = mark === "false" || (mark === undefined && JSON_TYPES.has(type ?? ""))
  const kind = isJson ? "json" : mark === undefined ? "unknown" : "string"
  return { key, kind, marker: tag.marker, text: "", children: new Map() }
}

/** The value of a complete parameter. */
export const valueOf = ({ kind, text, children }: BlockParameter): ParameterValue => {
  if (kind === "json") return jsonOf(text)
  if (kind !== "object")
    return { json: JSON.stringify(unescapeClosingTag(text)), isRepaired: false }
  const members = Array.from(children, ([key, value]) => `${JSON.stringify(key)}:${value}`)
  return { json: `{${members.join(",")}}`, isRepaired: false }
}

/** Python's spellings of the three constants. */
const CONSTANTS: ReadonlyMap<string, string> = new Map([
  ["True", "true"],
  ["False", "false"],
  ["None", "null"],
])

/** JSON of a value marked `string="false"`; text that is no JSON becomes a string. */
const jsonOf = (raw: string): ParameterValue => {
  const text = raw.trim()
  if (text === "") return { json: "null", isRepaired: false }
  if (tryParseJsonNode(text) !== undefined) return { json: text, isRepaired: false }
  return { json: CONSTANTS.get(text) ?? JSON.stringify(text), isRepaired: true }
}

export const minify = (json: string): string => {
  const node = tryParseJsonNode(json)
  return node === undefined ? json : writeJsonNode(node, "minified")
}

/** The members of a JSON object; undefined for any other text. */
export const membersOf = (text: string): ReadonlyMap<string, string> | undefined => {
  const node = text.trimStart().startsWith("{") ? tryParseJsonNode(text.trim()) : undefined
  if (node?.kind !== "object") return undefined
  return new Map(
    Array.from(node.members, ([key, value]) => [key, writeJsonNode(value, "minified")]),
  )
}
