// A parameter of a call, and the JSON that its text becomes.
import { tryParseJsonNode, writeJsonNode } from "../json/json-node.ts"
import { decodeEntities } from "./entities.ts"
import type { Family } from "./tags.ts"

/** A parameter whose closing tag is still to come. */
export interface BlockParameter {
  readonly key: string
  /** unknown: neither the `string` attribute nor the first character has been seen. */
  kind: "unknown" | "string" | "json" | "object"
  /** The spelling of its opener, which its closer shares. */
  readonly family: Family
  text: string
  /** JSON of the members of an object, by key. */
  readonly children: Map<string, string>
}

interface ParameterValue {
  readonly json: string
  /** The text was no JSON, although it was marked as such. */
  readonly isRepaired: boolean
}

/** The value of a complete parameter. */
export const valueOf = ({ kind, text, children }: BlockParameter): ParameterValue => {
  if (kind === "json") return jsonOf(text)
  if (kind !== "object") return { json: JSON.stringify(decodeEntities(text)), isRepaired: false }
  const members = Array.from(children, ([key, value]) => `${JSON.stringify(key)}:${value}`)
  return { json: `{${members.join(",")}}`, isRepaired: false }
}

/** JSON of a value marked `string="false"`; text that is no JSON becomes a string. */
const jsonOf = (raw: string): ParameterValue => {
  const text = raw.trim()
  if (text === "") return { json: "null", isRepaired: false }
  const isJson = tryParseJsonNode(text) !== undefined
  return isJson
    ? { json: text, isRepaired: false }
    : { json: JSON.stringify(text), isRepaired: true }
}

export const minify = (json: string): string => {
  const node = tryParseJsonNode(json)
  return node === undefined ? json : writeJsonNode(node, "minified")
}
