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

const argumentsOf = (text: string): ReadonlyMap<string, JsonNode> => {
  const node = tryParseJsonNode(text)
  return node?.kind === "object"
    ? node.members
    : new Map([["arguments", { kind: "string", value: text }]])
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
    for (const [key, value] of argumentsOf(call.arguments))
      writeParameter(writer, key, value, profile)
    writer.control(`</${DSML}invoke>\n`)
  }
  writer.control(`</${DSML}tool_calls>`)
}
