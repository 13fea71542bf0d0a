// Messages to turns, by the rules of the vendor's encoder: user messages and tool results that
// follow each other are one turn of the user.
import type { Task } from "@ds4/tokenizer/special-tokens"
import type { Message } from "./conversation.ts"

type MessageOf<Role extends Message["role"]> = Extract<Message, { role: Role }>

/** A part of a user's turn. A system message after the first answer has no place but there. */
export type UserPart = MessageOf<"user" | "tool" | "system">

export interface UserTurn {
  readonly role: "user"
  readonly parts: readonly UserPart[]
  readonly task?: Task
}

export type Turn = UserTurn | MessageOf<"developer" | "assistant" | "latest_reminder">

const isUserPart = (message: Message): message is UserPart =>
  message.role === "user" || message.role === "tool" || message.role === "system"

/** A turn that ended in a task takes results, but no further text. */
const takes = (turn: UserTurn, part: UserPart): boolean =>
  part.role === "tool" || turn.task === undefined

/** The turns of a conversation, whose head is left out. */
export const turnsOf = (messages: readonly Message[]): Turn[] => {
  const turns: Turn[] = []
  let open: { role: "user"; parts: UserPart[]; task?: Task } | undefined
  for (const message of messages) {
    if (!isUserPart(message)) {
      turns.push(message)
      open = undefined
      continue
    }
    if (open === undefined || !takes(open, message)) {
      open = { role: "user", parts: [] }
      turns.push(open)
    }
    open.parts.push(message)
    if (message.role === "user" && message.task !== undefined) open.task = message.task
  }
  return turns
}
