// Body of POST /v1/responses -> conversation. Items are merged into turns.
import type { AssistantMessage, Message, ToolCall } from "../template/conversation.ts"
import { jsonSourceOf } from "../json/json-value.ts"
import {
  type Fields,
  fieldsAt,
  isFields,
  itemsAt,
  nameAt,
  optionalStringAt,
  stringAt,
} from "./fields.ts"
import { isKnownPart, refusedPart } from "./content-parts.ts"
import { promptEnding } from "./prompt-ending.ts"
import {
  type ReadOptions,
  type ReadRequest,
  argumentsText,
  checkDistinct,
  contentText,
  partText,
  responseSchema,
  resultSeparator,
} from "./request.ts"
import { RequestError } from "./request-error.ts"
import { CUSTOM_INPUT, type ToolIdentity, readResponseTools } from "./response-tools.ts"

interface ReadResponsesOptions extends ReadOptions {
  /** Items that come before the input, as of stored responses. */
  readonly history?: readonly unknown[]
}

interface ReadResponses extends ReadRequest {
  /** Internal tool name to what the client declared. */
  readonly toolNames: ReadonlyMap<string, ToolIdentity>
}

/** Calls of the vendor's own tools, replayed by clients as history: read as calls of that name. */
const GENERIC_CALLS: ReadonlySet<string> = new Set([
  "local_shell_call",
  "web_search_call",
  "tool_search_call",
  "image_generation_call",
])
const OUTPUT_SUFFIX = "_output"
const IGNORED_ITEMS: ReadonlySet<string> = new Set(["compaction", "context_compaction"])

/**
 * Our own sealed reasoning is Base64 of its text; another server's opens to no valid UTF-8 and is
 * ignored.
 */
const openSealed = (sealed: unknown): string => {
  if (typeof sealed !== "string" || sealed === "") return ""
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(sealed))
  } catch (error) {
    if (error instanceof TypeError || error instanceof SyntaxError) return ""
    throw error
  }
}

/** Text or reasoning of an answer that was cut. */
const isUnfinished = (item: unknown): boolean =>
  isFields(item) &&
  item.status === "incomplete" &&
  (item.role === "assistant" || item.type === "reasoning")

const partsText = (path: string, parts: unknown): string[] =>
  itemsAt(path, parts).map((part, index) => {
    const fields = fieldsAt(`${path}[${index}]`, part)
    return stringAt(`${path}[${index}].text`, fields.text)
  })

const reasoningText = (path: string, item: Fields): string => {
  const texts = [
    ...partsText(`${path}.summary`, item.summary),
    ...partsText(`${path}.content`, item.content),
  ]
  return texts.length > 0 ? texts.join("\n") : openSealed(item.encrypted_content)
}

/** Refuses media in a tool's output: the model would be told nothing of it. */
const checkOutput = (path: string, output: unknown): void => {
  const parts = Array.isArray(output) ? (output as unknown[]) : [output]
  parts.forEach((part, index) => {
    if (!isFields(part) || !isKnownPart(part.type)) return
    throw refusedPart(Array.isArray(output) ? `${path}[${index}]` : path, part, "responses")
  })
}

/** The text of an output: its text parts joined, or the JSON of anything else. */
const outputText = (path: string, output: unknown, separator: string): string => {
  if (output === undefined || output === null || typeof output === "string") return output ?? ""
  checkOutput(path, output)
  if (!Array.isArray(output) || !output.every(isTextPart)) return jsonSourceOf(output)
  return output.map((part, index) => partText(`${path}[${index}]`, part) ?? "").join(separator)
}

const isTextPart = (part: unknown): boolean => isFields(part) && typeof part.text === "string"

class ItemReader {
  readonly messages: Message[] = []
  /** Tools that a tool search brought in. */
  readonly foundTools: unknown[] = []
  private open:
    | { reasoning: string | undefined; content: string | undefined; calls: ToolCall[] }
    | undefined
  private readonly callIds = new Set<string>()

  constructor(private readonly options: ReadResponsesOptions) {}

  /** Ends the assistant turn that items were joining. */
  flush(): void {
    if (this.open === undefined) return
    const { reasoning, content = "", calls } = this.open
    const message: AssistantMessage = {
      role: "assistant",
      content,
      ...(reasoning !== undefined && { reasoning }),
      ...(calls.length > 0 && { toolCalls: calls }),
    }
    this.messages.push(message)
    this.open = undefined
  }

  read(path: string, raw: unknown): void {
    const item = fieldsAt(path, raw)
    const type = item.type ?? (item.role === undefined ? undefined : "message")
    this.checkStatus(path, item)
    if (type === "message") this.message(path, item)
    else if (type === "reasoning") this.reasoning(path, item)
    else if (type === "function_call") this.functionCall(path, item)
    else if (type === "custom_tool_call") this.customCall(path, item)
    else if (typeof type === "string" && GENERIC_CALLS.has(type)) this.genericCall(path, type, item)
    else if (typeof type === "string" && this.isOutput(type)) this.output(path, item)
    else if (typeof type !== "string" || !IGNORED_ITEMS.has(type)) throw this.unknown(path, type)
  }

  private unknown(path: string, type: unknown): RequestError {
    const hint =
      type === "item_reference"
        ? "items are not stored here; send the item itself"
        : "it is not an input item that can be read here"
    return new RequestError(
      `${path}.type: ${JSON.stringify(type) ?? "nothing"}: ${hint}`,
      `${path}.type`,
    )
  }

  private isOutput(type: string): boolean {
    if (!type.endsWith(OUTPUT_SUFFIX)) return false
    const call = type.slice(0, -OUTPUT_SUFFIX.length)
    return call === "function_call" || call === "custom_tool_call" || GENERIC_CALLS.has(call)
  }

  /**
   * Text and reasoning of an interrupted answer are replayed as incomplete; nothing else
   * unfinished can be read.
   */
  private checkStatus(path: string, item: Fields): void {
    const { status } = item
    if (status === undefined || status === null || status === "completed") return
    if (isUnfinished(item)) return
    throw new RequestError(
      `${path}.status: expected "completed", got ${JSON.stringify(status)}`,
      `${path}.status`,
    )
  }

  private message(path: string, item: Fields): void {
    const content = contentText(`${path}.content`, item.content, "responses")
    switch (item.role ?? "user") {
      case "system":
      case "developer":
        this.flush()
        this.messages.push({ role: "system", content })
        return
      case "user":
        this.flush()
        this.messages.push({ role: "user", content })
        return
      case "assistant":
        if (this.open?.content !== undefined || (this.open?.calls.length ?? 0) > 0) this.flush()
        this.open = { reasoning: this.open?.reasoning, content, calls: [] }
        return
      default:
        throw new RequestError(
          `${path}.role: expected system, developer, user or assistant, got ` +
            `${JSON.stringify(item.role)}`,
          `${path}.role`,
        )
    }
  }

  private reasoning(path: string, item: Fields): void {
    const text = reasoningText(path, item)
    if (this.open?.content !== undefined || (this.open?.calls.length ?? 0) > 0) this.flush()
    const before = this.open?.reasoning
    this.open = {
      reasoning: before === undefined ? text : `${before}\n${text}`,
      content: undefined,
      calls: [],
    }
  }

  private call(call: ToolCall): void {
    this.open ??= { reasoning: undefined, content: undefined, calls: [] }
    this.open.calls.push(call)
    this.callIds.add(call.id)
  }

  private functionCall(path: string, item: Fields): void {
    const namespace = optionalStringAt(`${path}.namespace`, item.namespace) ?? ""
    this.call({
      id: stringAt(`${path}.call_id`, item.call_id),
      name: namespace + nameAt(`${path}.name`, item.name),
      arguments: argumentsText(`${path}.arguments`, item.arguments),
    })
  }

  private customCall(path: string, item: Fields): void {
    const namespace = optionalStringAt(`${path}.namespace`, item.namespace) ?? ""
    this.call({
      id: stringAt(`${path}.call_id`, item.call_id),
      name: namespace + nameAt(`${path}.name`, item.name),
      arguments: JSON.stringify({ [CUSTOM_INPUT]: stringAt(`${path}.input`, item.input) }),
    })
  }

  private genericCall(path: string, type: string, item: Fields): void {
    const { type: _type, id, call_id, status: _status, action, arguments: given, ...others } = item
    const value =
      [action, given].find((candidate) => candidate !== undefined && candidate !== null) ?? others
    this.call({
      id: optionalStringAt(`${path}.call_id`, call_id ?? id) ?? "",
      name: type.slice(0, -"_call".length),
      arguments: argumentsText(`${path}.arguments`, value),
    })
  }

  private output(path: string, item: Fields): void {
    this.flush()
    const callId = stringAt(`${path}.call_id`, item.call_id ?? item.id)
    if (!this.callIds.has(callId)) {
      throw new RequestError(
        `${path}.call_id: no call has the id ${JSON.stringify(callId)}; send the call together ` +
          `with its output`,
        `${path}.call_id`,
      )
    }
    if (Array.isArray(item.tools)) this.foundTools.push(...(item.tools as unknown[]))
    const output = item.output ?? (Array.isArray(item.tools) ? item.tools : undefined)
    const separator = resultSeparator(this.options.profile === "compat")
    this.messages.push({
      role: "tool",
      toolCallId: callId,
      content: outputText(`${path}.output`, output, separator),
    })
  }
}

/**
 * Reads a responses body. The answer is a turn of its own. As in vLLM, an unfinished last item asks
 * for its rest instead.
 * @throws RequestError naming the field
 */
export const responsesRequest = (
  body: unknown,
  options: ReadResponsesOptions = {},
): ReadResponses => {
  const isCompat = options.profile === "compat"
  const fields = fieldsAt("body", body)
  const { input } = fields
  const items =
    typeof input === "string" ? [{ role: "user", content: input }] : itemsAt("input", input)
  if (items.length === 0) throw new RequestError("missing input", "input")
  const reader = new ItemReader(options)
  const instructions = optionalStringAt("instructions", fields.instructions) ?? ""
  if (instructions !== "") reader.messages.push({ role: "system", content: instructions })
  options.history?.forEach((item, index) => reader.read(`history[${index}]`, item))
  items.forEach((item, index) => reader.read(`input[${index}]`, item))
  reader.flush()
  const { tools, names } = readResponseTools(
    [...itemsAt("tools", fields.tools), ...reader.foundTools],
    isCompat,
  )
  checkDistinct(tools)
  const text =
    fields.text === undefined || fields.text === null ? {} : fieldsAt("text", fields.text)
  const responseFormat = responseSchema("text.format", text.format)
  return {
    conversation: {
      messages: reader.messages,
      ...(tools.length > 0 && { tools }),
      ...(responseFormat && { responseFormat }),
    },
    ...promptEnding(fields, reader.messages, isUnfinished(items.at(-1)) ? {} : undefined),
    warnings: [],
    toolNames: names,
  }
}
