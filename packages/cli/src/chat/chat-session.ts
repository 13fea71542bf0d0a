import type { AnswerUsage, Conversation, Message } from "@ds4/chat"
import type { AnswerSettings } from "../backend/backend.ts"
import { answerMessage, type PartialAnswer } from "./run-turn.ts"

interface Totals {
  turns: number
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  prefillMs: number
  decodeMs: number
}

/** The conversation at hand and its settings: everything about a chat except the terminal. */
export class ChatSession {
  messages: Message[] = []
  /** The last answer stopped early and can be continued. */
  isUnfinished = false
  readonly totals: Totals = {
    turns: 0,
    promptTokens: 0,
    cachedTokens: 0,
    completionTokens: 0,
    prefillMs: 0,
    decodeMs: 0,
  }

  constructor(
    public system: string | undefined,
    public settings: AnswerSettings,
  ) {}

  /** The conversation as the model gets it: the system text and all messages. */
  conversation(): Conversation {
    const system: Message[] =
      this.system === undefined || this.system === ""
        ? []
        : [{ role: "system", content: this.system }]
    return { messages: [...system, ...this.messages] }
  }

  ask(text: string): void {
    this.messages.push({ role: "user", content: text })
    this.isUnfinished = false
  }

  /** Appends an answer. One that stopped early can be continued, unless it called tools. */
  keepAnswer(answer: PartialAnswer, isUnfinished: boolean): void {
    this.messages.push(answerMessage(answer))
    this.isUnfinished = isUnfinished && answer.toolCalls.length === 0
  }

  /** Takes the unfinished answer out of the conversation, to be continued. */
  takeUnfinished(): PartialAnswer | undefined {
    const last = this.messages.at(-1)
    if (!this.isUnfinished || last?.role !== "assistant") return undefined
    this.messages.pop()
    this.isUnfinished = false
    return { reasoning: last.reasoning ?? "", content: last.content, toolCalls: [] }
  }

  /**
   * Removes the last `turns` questions with everything after them; returns the earliest one's text.
   */
  undo(turns = 1): string | undefined {
    let text: string | undefined
    for (let removed = 0; removed < turns; removed++) {
      const index = this.messages.findLastIndex((message) => message.role === "user")
      const question = this.messages[index]
      if (question === undefined) break
      text = typeof question.content === "string" ? question.content : ""
      this.messages.length = index
    }
    if (text !== undefined) this.isUnfinished = false
    return text
  }

  clear(): void {
    this.messages = []
    this.isUnfinished = false
  }

  count(usage: AnswerUsage): void {
    this.totals.turns += 1
    this.totals.promptTokens += usage.promptTokens
    this.totals.cachedTokens += usage.cachedTokens
    this.totals.completionTokens += usage.completionTokens
    this.totals.prefillMs += usage.prefillMs
    this.totals.decodeMs += usage.decodeMs
  }
}
