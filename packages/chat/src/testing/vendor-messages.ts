import type { Task } from "@ds4/tokenizer/special-tokens"
import type { Conversation, Message } from "../template/conversation.ts"
import type { VendorMessage } from "./vendor-encoder.ts"

const toolsOf = (tools: readonly string[] = []) =>
  tools.map((definition) => ({
    name: (JSON.parse(definition) as { name: string }).name,
    definition,
  }))

const messageOf = (message: VendorMessage): Message => {
  const { role, reasoning_content: reasoning, tool_calls: calls } = message
  const content = message.content ?? ""
  const task = message.task === undefined ? {} : { task: message.task as Task } // a vendor's name
  if (role === "developer") return { role, content, tools: toolsOf(message.tools) }
  if (role === "user") return { role, content, ...task }
  if (role === "tool") return { role, content, toolCallId: message.tool_call_id ?? "" }
  if (role !== "assistant") return { role, content }
  const toolCalls = calls?.map(({ id, function: called }) => ({ id, ...called }))
  return {
    role,
    content,
    ...(reasoning !== undefined && { reasoning }),
    ...(toolCalls && { toolCalls }),
    ...task,
  }
}

/** The conversation that messages of the vendor's form are; tools hang on the system message. */
export const conversationOf = (messages: readonly VendorMessage[]): Conversation => {
  const tools = toolsOf(messages.find(({ role }) => role === "system")?.tools)
  return { messages: messages.map(messageOf), ...(tools.length > 0 && { tools }) }
}
