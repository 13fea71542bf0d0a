// Body of POST /v1/chat/completions -> conversation.
import type {
  AssistantMessage,
  Message,
  ToolCall,
  ToolDeclaration,
} from "../template/conversation.ts"
import {
  type Fields,
  fieldsAt,
  isFields,
  itemsAt,
  nameAt,
  optionalBooleanAt,
  optionalStringAt,
  stringAt,
} from "./fields.ts"
import { type Continuation, promptEnding } from "./prompt-ending.ts"
import {
  type ReadOptions,
  type ReadRequest,
  argumentsText,
  checkDistinct,
  contentText,
  declaredAsReceived,
  responseSchema,
  resultSeparator,
} from "./request.ts"
import { RequestError } from "./request-error.ts"

const readCall = (path: string, call: unknown): ToolCall => {
  const fields = fieldsAt(path, call)
  const id = optionalStringAt(`${path}.id`, fields.id) ?? ""
  if (fields.type === "custom") {
    const custom = fieldsAt(`${path}.custom`, fields.custom)
    const input = stringAt(`${path}.custom.input`, custom.input)
    return {
      id,
      name: nameAt(`${path}.custom.name`, custom.name),
      arguments: JSON.stringify({ input }),
    }
  }
  const called = fieldsAt(`${path}.function`, fields.function)
  return {
    id,
    name: nameAt(`${path}.function.name`, called.name),
    arguments: argumentsText(`${path}.function.arguments`, called.arguments),
  }
}

/** Kinds of parts in which clients send an answer's reasoning back, and the field of their text. */
const REASONING_PARTS: ReadonlyMap<unknown, string> = new Map([
  ["thinking", "thinking"],
  ["reasoning", "text"],
  ["reasoning_text", "text"],
])

/**
 * The reasoning among the parts of an answer, and its content with empty texts in their place, so
 * that the other parts keep their paths. Sealed reasoning of other models is left out.
 */
const withoutReasoning = (path: string, raw: unknown): { content: unknown; reasoning: string } => {
  if (!Array.isArray(raw)) return { content: raw, reasoning: "" }
  let reasoning = ""
  const content = raw.map((part: unknown, index): unknown => {
    if (!isFields(part)) return part
    const field = REASONING_PARTS.get(part.type)
    if (field === undefined && part.type !== "redacted_thinking") return part
    if (field !== undefined) reasoning += stringAt(`${path}[${index}].${field}`, part[field])
    return { type: "text", text: "" }
  })
  return { content, reasoning }
}

const readAssistant = (
  path: string,
  message: Fields,
  content: string,
  partsReasoning: string,
): AssistantMessage => {
  const reasoning =
    ["reasoning_content", "reasoning", "reasoning_text"]
      .map((field) => optionalStringAt(`${path}.${field}`, message[field]))
      .find((text) => text !== undefined) ?? (partsReasoning === "" ? undefined : partsReasoning)
  const toolCalls = itemsAt(`${path}.tool_calls`, message.tool_calls).map((call, index) =>
    readCall(`${path}.tool_calls[${index}]`, call),
  )
  return {
    role: "assistant",
    content,
    ...(reasoning !== undefined && { reasoning }),
    ...(toolCalls.length > 0 && { toolCalls }),
  }
}

const readMessage = (path: string, raw: unknown, { profile }: ReadOptions): Message | undefined => {
  const message = fieldsAt(path, raw)
  const role = message.role ?? "user"
  const isCompat = profile === "compat"
  const isResult = role === "tool" || role === "function"
  const parts =
    role === "assistant" && !isCompat
      ? withoutReasoning(`${path}.content`, message.content)
      : { content: message.content, reasoning: "" }
  const content = contentText(
    `${path}.content`,
    parts.content,
    isCompat ? "skip" : "chat",
    isResult ? resultSeparator(isCompat) : "",
  )
  switch (role) {
    case "system":
    case "developer": // clients mean it so; the model's own developer turns are something else
      return { role: "system", content }
    case "user":
      return { role: "user", content }
    case "latest_reminder":
      return { role: "latest_reminder", content }
    case "assistant":
      return readAssistant(path, message, content, parts.reasoning)
    case "tool":
    case "function":
      return {
        role: "tool",
        content,
        toolCallId: optionalStringAt(`${path}.tool_call_id`, message.tool_call_id) ?? "",
      }
    default:
      if (isCompat) return undefined
      throw new RequestError(
        `${path}.role: expected system, developer, user, assistant or tool, got ` +
          `${JSON.stringify(role)}`,
        `${path}.role`,
      )
  }
}

const readTool = (path: string, raw: unknown): ToolDeclaration => {
  const tool = fieldsAt(path, raw)
  if (tool.type !== undefined && tool.type !== "function") {
    throw new RequestError(
      `${path}.type: expected "function", got ${JSON.stringify(tool.type)}`,
      `${path}.type`,
    )
  }
  return declaredAsReceived(`${path}.function`, fieldsAt(`${path}.function`, tool.function))
}

/** The last message may ask to be continued (`prefix`, as in the vendor's API). */
const prefixOf = (messages: readonly unknown[]): Continuation | undefined => {
  const path = `messages[${messages.length - 1}]`
  const field = `${path}.prefix`
  const last = fieldsAt(path, messages.at(-1))
  return optionalBooleanAt(field, last.prefix) === true ? { field } : undefined
}

/**
 * Reads a chat completion body; fields that are no part of the conversation are left to the caller.
 * The answer is a turn of its own, unless `continue_final_message` or `prefix` asks to go on.
 * @throws RequestError naming the field
 */
export const chatRequest = (body: unknown, options: ReadOptions = {}): ReadRequest => {
  const fields = fieldsAt("body", body)
  const messages = itemsAt("messages", fields.messages)
  if (messages.length === 0) throw new RequestError("missing messages", "messages")
  const tools = itemsAt("tools", fields.tools).map((tool, index) =>
    readTool(`tools[${index}]`, tool),
  )
  checkDistinct(tools)
  const responseFormat = responseSchema("response_format", fields.response_format)
  const read = messages.flatMap(
    (message, index) => readMessage(`messages[${index}]`, message, options) ?? [],
  )
  return {
    conversation: {
      messages: read,
      ...(tools.length > 0 && { tools }),
      ...(responseFormat && { responseFormat }),
    },
    ...promptEnding(fields, read, prefixOf(messages)),
    warnings: [],
  }
}
