import type { Backend } from "../../backend/backend.ts"
import type { Io } from "../../io.ts"
import type { ChatSession } from "../chat-session.ts"
import type { ConversationStore } from "../conversation-store.ts"

/** The next step of the chat after a slash command. */
export type SlashResult =
  | { readonly next: "prompt"; readonly line?: string } // back to the prompt, with this text in it
  | { readonly next: "ask"; readonly text: string } // send this question
  | { readonly next: "continue" } // go on with the unfinished answer
  | { readonly next: "quit" }

export interface SlashContext {
  readonly session: ChatSession
  readonly backend: Backend
  readonly store: ConversationStore
  readonly io: Io
  /** Texts that go in front of the next question. */
  readonly attachments: string[]
  readonly display: { showsReasoning: boolean }
  /** Asks a question that is answered by yes or no; without a terminal the answer is no. */
  readonly confirm: (question: string) => Promise<boolean>
  /** Prints a line about what was done. */
  readonly say: (text: string) => void
}

export interface SlashCommand {
  readonly name: string
  readonly usage: string
  readonly summary: string
  /** The words that Tab offers for the argument: paths, or the first one among these. */
  readonly takes?: "paths" | ((known: Pick<SlashContext, "store">) => readonly string[])
  run(argument: string, context: SlashContext): SlashResult | Promise<SlashResult>
}

export const STAY: SlashResult = { next: "prompt" }
