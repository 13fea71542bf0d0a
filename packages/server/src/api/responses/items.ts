// Output items of the Responses API: their ids and shapes. No I/O.
import type { ToolIdentity } from "@ds4/chat"

/** Internal name → what the client declared. Names that are absent are plain functions. */
export type ToolNames = ReadonlyMap<string, ToolIdentity>

export type ItemStatus = "in_progress" | "completed" | "incomplete"

/** Reasoning as the opaque string that the client sends back. */
function sealReasoning(text: string): string {
  return Buffer.from(text, "utf8").toString("base64")
}

export interface ReasoningShape {
  showSummary: boolean
  includeEncrypted: boolean
}

export function reasoningItem(
  id: string,
  text: string,
  status: ItemStatus,
  shape: ReasoningShape,
): Record<string, unknown> {
  const isOpen = status === "in_progress"
  return {
    id,
    type: "reasoning",
    status,
    summary: shape.showSummary && !isOpen ? [{ type: "summary_text", text }] : [],
    ...(shape.includeEncrypted && !isOpen ? { encrypted_content: sealReasoning(text) } : {}),
  }
}

/** Reasoning as it is kept: all of it, whatever the client is shown. */
export function keptReasoning(
  id: string,
  text: string,
  status: ItemStatus,
): Record<string, unknown> {
  const content = [{ type: "reasoning_text", text }]
  return { id, type: "reasoning", status, summary: [], content }
}

/** A kept item as the client is shown it; undefined where it is shown none of it. */
export function shownItem(
  item: Record<string, unknown>,
  shape: ReasoningShape,
): Record<string, unknown> | undefined {
  const { id, type, status, content } = item as unknown as KeptReasoning
  if (type !== "reasoning" || content === undefined) return item
  if (!shape.showSummary && !shape.includeEncrypted) return undefined
  return reasoningItem(id, content.map(({ text }) => text).join("\n"), status, shape)
}

interface KeptReasoning {
  id: string
  type: string
  status: ItemStatus
  content?: readonly { text: string }[]
}

export function textPart(text: string): Record<string, unknown> {
  return { type: "output_text", text, annotations: [] }
}

export function messageItem(id: string, text: string, status: ItemStatus): Record<string, unknown> {
  return {
    id,
    type: "message",
    status,
    role: "assistant",
    content: status === "in_progress" ? [] : [textPart(text)],
  }
}

export interface CallItem {
  id: string
  callId: string
  tool: ToolIdentity
  payload: string
}

/** A `function_call` or `custom_tool_call` item; `payload` is the arguments or the free text. */
export function callItem(
  { id, callId, tool, payload }: CallItem,
  status: ItemStatus,
): Record<string, unknown> {
  const space = tool.namespace === undefined ? {} : { namespace: tool.namespace }
  return tool.kind === "custom"
    ? {
        id,
        type: "custom_tool_call",
        status,
        call_id: callId,
        name: tool.name,
        ...space,
        input: payload,
      }
    : {
        id,
        type: "function_call",
        status,
        call_id: callId,
        name: tool.name,
        ...space,
        arguments: payload,
      }
}

/**
 * The text of a custom tool's one string argument, taken out of the streamed arguments
 * `{"input":"…"}` piece by piece. Fragments never split a JSON escape.
 */
export class CustomInputReader {
  private opening = ""
  private isInside = false
  private isDone = false

  /** The text that this fragment adds. */
  push(fragment: string): string {
    if (this.isDone) return ""
    let body = fragment
    if (!this.isInside) {
      this.opening += fragment
      const match = /^\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*"/.exec(this.opening)
      if (match === null) return ""
      this.isInside = true
      body = this.opening.slice(match[0].length)
    }
    const end = closingQuote(body)
    if (end >= 0) this.isDone = true
    const raw = end >= 0 ? body.slice(0, end) : body
    return raw === "" ? "" : String(JSON.parse(`"${raw}"`))
  }
}

function closingQuote(body: string): number {
  for (let at = 0; at < body.length; at++) {
    if (body[at] === "\\") at++
    else if (body[at] === '"') return at
  }
  return -1
}
