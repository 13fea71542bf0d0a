// Calls written in the model's own syntax. Names, keys and values are other people's text: never
// control.
import { type JsonNode, tryParseJsonNode, writeJsonNode } from "../json/json-node.ts"
import { DSML } from "@ds4/tokenizer/special-tokens"
import type { ToolCall } from "./conversation.ts"
import type { SegmentWriter } from "./segment-writer.ts"
import type { Profile } from "./tools-block.ts"

const PARAMETER_CLOSE = `</${DSML}parameter>`
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

const writeParameter = (
  writer: SegmentWriter,
  key: string,
  value: JsonNode,
  profile: Profile,
): void => {
  const isString = value.kind === "string"
  const body = isString
    ? defuse(value.value, PARAMETER_CLOSE, "&lt;")
    : defuse(
        writeJsonNode(value, profile === "reference" ? "spaced" : "minified"),
        PARAMETER_CLOSE,
        "\\u003c",
      )
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
