// Calls written in the model's own syntax. Names, keys and values are other people's text: never
// control.
import { type JsonNode, tryParseJsonNode, writeJsonNode } from "../json/json-node.ts"
import { DSML } from "@ds4/tokenizer/special-tokens"
import { escapeClosingTag, PARAMETER_CLOSE } from "../parser/closing-tag-escape.ts"
import { isReadWhole } from "../parser/value-end.ts"
import type { ToolCall } from "./conversation.ts"
import type { SegmentWriter } from "./segment-writer.ts"
import type { Profile } from "./tools-block.ts"

const RESULT_CLOSE = "</tool_result>"

const escapeName = (name: string): string =>
  name
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")

/**
 * A value that contains the very tag that would end it could not be read back; only that tag is
 * changed.
 */
const defuse = (value: string, tag: string, replacement: string): string =>
  value.replaceAll(tag, replacement + tag.slice(1))

/** The text between the tags of a tool result. */
export const toolResultText = (content: string): string => defuse(content, RESULT_CLOSE, "&lt;")

/**
 * Arguments that are no JSON object become one parameter of that name, as in the vendor's encoder.
 * Blank ones and `null` are none: clients send them for tools without parameters.
 */
const argumentsOf = (text: string, profile: Profile): ReadonlyMap<string, JsonNode> => {
  const node = tryParseJsonNode(text)
  if (node?.kind === "object") return node.members
  const isNone = text.trim() === "" || (node?.kind === "literal" && node.text === "null")
  if (isNone && profile === "reference") return new Map()
  return new Map([["arguments", { kind: "string", value: text }]])
}

interface ParameterText {
  readonly isString: boolean
  readonly body: string
}

/** JSON in which no tag can be read. */
const withoutTags = (json: string): string => json.replaceAll("<", "\\u003c")

const jsonText = (value: JsonNode, profile: Profile): ParameterText => {
  const json = writeJsonNode(value, profile === "reference" ? "spaced" : "minified")
  const body = defuse(json, PARAMETER_CLOSE, "\\u003c")
  return { isString: false, body: isReadWhole(body) ? body : withoutTags(json) }
}

/**
 * The text between a parameter's tags. A string that would not be read back as it is, because it
 * holds tags of the syntax, is written as JSON.
 */
const parameterText = (value: JsonNode, profile: Profile): ParameterText => {
  if (value.kind !== "string") return jsonText(value, profile)
  const body = escapeClosingTag(value.value)
  return body !== undefined && isReadWhole(body)
    ? { isString: true, body }
    : { isString: false, body: withoutTags(JSON.stringify(value.value)) }
}

const writeParameter = (
  writer: SegmentWriter,
  key: string,
  value: JsonNode,
  profile: Profile,
): void => {
  const { isString, body } = parameterText(value, profile)
  writer
    .control(`<${DSML}parameter name="`)
    .plain(profile === "compat" ? escapeName(key) : key)
    .control(`" string="${isString}">`)
    .plain(body)
    .control(`${PARAMETER_CLOSE}\n`)
}

/** Writes the block of one assistant turn with the blank line before it. */
export const writeCalls = (
  writer: SegmentWriter,
  calls: readonly ToolCall[],
  profile: Profile,
): void => {
  writer.control(`\n\n<${DSML}tool_calls>\n`)
  for (const call of calls) {
    writer
      .control(`<${DSML}invoke name="`)
      .plain(profile === "compat" ? escapeName(call.name) : call.name)
      .control('">\n')
    const members = argumentsOf(call.arguments, profile)
    for (const [key, value] of members) writeParameter(writer, key, value, profile)
    if (members.size === 0 && profile === "reference") writer.control("\n")
    writer.control(`</${DSML}invoke>\n`)
  }
  writer.control(`</${DSML}tool_calls>`)
}
