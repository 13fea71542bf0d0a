// Parts that the readers of the three interfaces share.
import type { Conversation, ToolDeclaration } from "../template/conversation.ts"
import type { PromptEnding } from "../template/render-options.ts"
import type { Profile } from "../template/tools-block.ts"
import { jsonSourceOf } from "../json/json-value.ts"
import { type Fields, fieldsAt, isFields, itemsAt, nameAt, stringAt } from "./fields.ts"
import { type PartPlace, refusedPart } from "./content-parts.ts"
import { RequestError } from "./request-error.ts"

export interface ReadOptions {
  /**
   * `compat` forgives and drops what the May 2026 server dropped; `reference` (default) refuses it.
   */
  readonly profile?: Profile
}

export interface ReadRequest extends Required<PromptEnding> {
  readonly conversation: Conversation
  /** Things that were left out, for the trace. */
  readonly warnings: readonly string[]
}

/** Kinds of content parts that are text. */
const TEXT_PARTS: ReadonlySet<unknown> = new Set(["text", "input_text", "output_text", "refusal"])

/** The text of one part, or undefined when it is of another kind. */
export const partText = (path: string, part: unknown): string | undefined => {
  const fields = fieldsAt(path, part)
  if (fields.type !== undefined && !TEXT_PARTS.has(fields.type)) return undefined
  const field = fields.type === "refusal" ? "refusal" : "text"
  return stringAt(`${path}.${field}`, fields[field])
}

/** Parts of a tool's result stand apart, as in the vendor's encoder; those of a message do not. */
export const resultSeparator = (isCompat: boolean): string => (isCompat ? "" : "\n\n")

/**
 * Content as one string: parts are joined, by default without a separator.
 * @param otherParts the API whose words refuse parts that are no text; "skip" leaves them out
 */
export const contentText = (
  path: string,
  content: unknown,
  otherParts: PartPlace | "skip",
  separator = "",
): string => {
  if (content === null || content === undefined) return ""
  if (typeof content === "string") return content
  const texts = itemsAt(path, content).map((part, index) => {
    const partPath = `${path}[${index}]`
    const text = partText(partPath, part)
    if (text === undefined && otherParts !== "skip")
      throw refusedPart(partPath, fieldsAt(partPath, part), otherParts)
    return text ?? ""
  })
  return texts.join(separator)
}

/** Arguments arrive as JSON text, or as the object itself. */
export const argumentsText = (path: string, value: unknown): string => {
  if (value === null || value === undefined) return "{}"
  return isFields(value) ? jsonSourceOf(value) : stringAt(path, value)
}

/** Refuses two tools of one name: a call could not be told apart. */
export const checkDistinct = (tools: readonly ToolDeclaration[]): void => {
  const names = new Set<string>()
  for (const { name } of tools) {
    if (names.has(name))
      throw new RequestError(
        `tools: two tools are called ${JSON.stringify(name)}; names must differ`,
        "tools",
      )
    names.add(name)
  }
}

/** The function object that the model was trained to see, out of differently named parts. */
export const toolDefinition = (name: string, description: unknown, parameters: unknown): string => {
  const members = [`"name":${JSON.stringify(name)}`]
  if (description !== undefined && description !== null)
    members.push(`"description":${JSON.stringify(description)}`)
  if (parameters !== undefined && parameters !== null)
    members.push(`"parameters":${jsonSourceOf(parameters)}`)
  return `{${members.join(",")}}`
}

/** A tool as `{name, …}` whose text is kept as received. */
export const declaredAsReceived = (path: string, tool: Fields): ToolDeclaration => ({
  name: nameAt(`${path}.name`, tool.name),
  definition: jsonSourceOf(tool),
})

/** The schema of a `response_format` or `text.format`; undefined for plain text. */
export const responseSchema = (path: string, format: unknown): Conversation["responseFormat"] => {
  if (format === null || format === undefined) return undefined
  const fields = fieldsAt(path, format)
  if (fields.type === "text") return undefined
  if (fields.type === "json_object") return { schema: { type: "object" } }
  if (fields.type !== "json_schema") {
    throw new RequestError(
      `${path}.type: expected "text", "json_object" or "json_schema", got ` +
        `${JSON.stringify(fields.type) ?? "nothing"}`,
      `${path}.type`,
    )
  }
  // Chat nests the schema one level deeper than Responses does.
  const holder = isFields(fields.json_schema) ? fields.json_schema : fields
  return { schema: fieldsAt(`${path}.schema`, holder.schema) }
}
