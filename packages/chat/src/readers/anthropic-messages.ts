// Body of POST /v1/messages -> conversation.
import type { Message, ToolCall, ToolDeclaration } from "../template/conversation.ts"
import { jsonSourceOf } from "../json/json-value.ts"
import { type Fields, fieldsAt, itemsAt, nameAt, optionalStringAt, stringAt } from "./fields.ts"
import { refusedPart } from "./content-parts.ts"
import { promptEnding } from "./prompt-ending.ts"
import {
  type ReadOptions,
  type ReadRequest,
  checkDistinct,
  declaredAsReceived,
  resultSeparator,
  toolDefinition,
} from "./request.ts"
import { RequestError } from "./request-error.ts"

/**
 * Claude Code sends a billing text that changes with every request and would defeat every cache.
 */
const PRIVATE_PREFIX = "x-anthropic-"

const blocksOf = (path: string, content: unknown): readonly Fields[] => {
  if (content === null || content === undefined) return []
  if (typeof content === "string") return [{ type: "text", text: content }]
  return itemsAt(path, content).map((block, index) => fieldsAt(`${path}[${index}]`, block))
}

const systemText = (path: string, system: unknown): string =>
  blocksOf(path, system)
    .map((block, index) => {
      const blockPath = `${path}[${index}]`
      if (block.type !== undefined && block.type !== "text")
        throw new RequestError(
          refusedPart(blockPath, block, "messages").message,
          `${blockPath}.type`,
        )
      return stringAt(`${blockPath}.text`, block.text)
    })
    .filter((text) => !text.startsWith(PRIVATE_PREFIX))
    .join("\n")

/** Text, or the JSON of a reference to a tool, which is all that there is to say of it. */
const resultPart = (path: string, block: Fields, isCompat: boolean): string => {
  if (block.type === undefined || block.type === "text") return stringAt(`${path}.text`, block.text)
  if (isCompat) return ""
  if (block.type === "tool_reference") return jsonSourceOf(block)
  throw refusedPart(path, block, "messages")
}

const readResult = (path: string, block: Fields, isCompat: boolean): Message => {
  const text = blocksOf(`${path}.content`, block.content)
    .map((part, index) => resultPart(`${path}.content[${index}]`, part, isCompat))
    .join(resultSeparator(isCompat))
  const isSilentError = !isCompat && block.is_error === true && !/^\s*error\b/i.test(text)
  return {
    role: "tool",
    content: isSilentError ? `Error: ${text}` : text,
    toolCallId: optionalStringAt(`${path}.tool_use_id`, block.tool_use_id) ?? "",
  }
}

/** Results first, then the text, whatever order they came in. */
const readUser = (path: string, blocks: readonly Fields[], isCompat: boolean): Message[] => {
  const results: Message[] = []
  let text = ""
  let hasText = false
  blocks.forEach((block, index) => {
    const blockPath = `${path}[${index}]`
    if (block.type === "tool_result") results.push(readResult(blockPath, block, isCompat))
    else if (block.type === undefined || block.type === "text") {
      text += stringAt(`${blockPath}.text`, block.text)
      hasText = true
    } else if (!isCompat) throw refusedPart(blockPath, block, "messages")
  })
  if (!hasText && results.length > 0) return results
  return [
    ...results,
    { role: "user", content: text, ...(results.length > 0 && { continuesResults: true }) },
  ]
}

const readAssistant = (path: string, blocks: readonly Fields[], isCompat: boolean): Message => {
  const toolCalls: ToolCall[] = []
  let content = ""
  let reasoning: string | undefined
  blocks.forEach((block, index) => {
    const blockPath = `${path}[${index}]`
    switch (block.type) {
      case undefined:
      case "text":
        content += stringAt(`${blockPath}.text`, block.text)
        break
      case "thinking":
        reasoning = (reasoning ?? "") + stringAt(`${blockPath}.thinking`, block.thinking)
        break
      case "tool_use":
        toolCalls.push({
          id: optionalStringAt(`${blockPath}.id`, block.id) ?? "",
          name: nameAt(`${blockPath}.name`, block.name),
          arguments: jsonSourceOf(fieldsAt(`${blockPath}.input`, block.input ?? {})),
        })
        break
      case "redacted_thinking":
        break
      default:
        if (!isCompat) throw refusedPart(blockPath, block, "messages")
    }
  })
  return {
    role: "assistant",
    content,
    ...(reasoning !== undefined && { reasoning }),
    ...(toolCalls.length > 0 && { toolCalls }),
  }
}

const readMessage = (path: string, raw: unknown, isCompat: boolean): Message[] => {
  const message = fieldsAt(path, raw)
  const role = message.role ?? "user"
  // Claude Code says what it finds out on the way (agents, skills) in system messages between the
  // turns
  if (role === "system" && !isCompat)
    return [{ role: "system", content: systemText(`${path}.content`, message.content) }]
  const blocks = blocksOf(`${path}.content`, message.content)
  if (role === "user") return readUser(`${path}.content`, blocks, isCompat)
  if (role === "assistant") return [readAssistant(`${path}.content`, blocks, isCompat)]
  if (isCompat) return []
  throw new RequestError(
    `${path}.role: expected "user", "assistant" or "system", got ${JSON.stringify(role)}`,
    `${path}.role`,
  )
}

/** Tools that Anthropic's own servers run carry a type of theirs; nobody here could run them. */
const isServerTool = (tool: Fields): boolean =>
  typeof tool.type === "string" && tool.type !== "custom"

const readTool = (path: string, tool: Fields, isCompat: boolean): ToolDeclaration => {
  if (isCompat) return declaredAsReceived(path, tool)
  const name = nameAt(`${path}.name`, tool.name)
  return { name, definition: toolDefinition(name, tool.description, tool.input_schema) }
}

/**
 * Reads a messages body. The answer continues a trailing assistant message, as that API defines.
 * @throws RequestError naming the field
 */
export const anthropicRequest = (body: unknown, options: ReadOptions = {}): ReadRequest => {
  const isCompat = options.profile === "compat"
  const fields = fieldsAt("body", body)
  const rawMessages = itemsAt("messages", fields.messages)
  if (rawMessages.length === 0) throw new RequestError("missing messages", "messages")
  const rawTools = itemsAt("tools", fields.tools).map((tool, index) =>
    fieldsAt(`tools[${index}]`, tool),
  )
  const warnings = isCompat
    ? []
    : rawTools
        .filter(isServerTool)
        .map(
          (tool) =>
            `tool of type ${JSON.stringify(tool.type)} left out: only its vendor's servers can ` +
            `run it`,
        )
  const tools = rawTools.flatMap((tool, index) =>
    isServerTool(tool) && !isCompat ? [] : [readTool(`tools[${index}]`, tool, isCompat)],
  )
  checkDistinct(tools)
  const system = systemText("system", fields.system)
  const messages = rawMessages.flatMap((message, index) =>
    readMessage(`messages[${index}]`, message, isCompat),
  )
  return {
    conversation: {
      messages: system === "" ? messages : [{ role: "system", content: system }, ...messages],
      ...(tools.length > 0 && { tools }),
    },
    ...promptEnding(fields, messages, {}),
    warnings,
  }
}
