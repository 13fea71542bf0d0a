import type { Task } from "@ds4/tokenizer/special-tokens"

/** A call as clients store it. */
export interface ToolCall {
  readonly id: string
  readonly name: string
  /** JSON text of the arguments object, as the client sent it. */
  readonly arguments: string
}

export interface ToolDeclaration {
  readonly name: string
  readonly description?: string
  /** JSON schema of the arguments. */
  readonly parameters?: unknown
  /**
   * JSON text of the whole function object as received; rendered in place of the three fields
   * above.
   */
  readonly definition?: string
}

interface SystemMessage {
  readonly role: "system"
  readonly content: string
}

/** A user turn by the vendor's encoding; it may declare tools of its own after its text. */
interface DeveloperMessage {
  readonly role: "developer"
  readonly content: string
  readonly tools?: readonly ToolDeclaration[]
}

interface UserMessage {
  readonly role: "user"
  readonly content: string
  /** Ends the prompt with the task's token in place of the generation prompt. */
  readonly task?: Task
  /**
   * The text came in one message with the tool results before it; profile `compat` then opens no
   * new turn.
   */
  readonly continuesResults?: boolean
}

export interface AssistantMessage {
  readonly role: "assistant"
  readonly content: string
  /** Absent: nothing is known of it. Empty: the turn thought nothing between its tags. */
  readonly reasoning?: string
  readonly toolCalls?: readonly ToolCall[]
  readonly task?: Task
}

/** The result of one call. */
interface ToolMessage {
  readonly role: "tool"
  readonly content: string
  readonly toolCallId?: string
}

interface ReminderMessage {
  readonly role: "latest_reminder"
  readonly content: string
}

export type Message =
  | SystemMessage
  | DeveloperMessage
  | UserMessage
  | AssistantMessage
  | ToolMessage
  | ReminderMessage

export interface Conversation {
  readonly messages: readonly Message[]
  readonly tools?: readonly ToolDeclaration[]
  /** JSON schema that the answer must satisfy. */
  readonly responseFormat?: { readonly schema: unknown }
}
