// Profile `reference`: byte for byte what the vendor's encoder produces. docs/chat-template.md says
// where it differs on purpose, with the reason.
import { writeJsonNode } from "../json/json-node.ts"
import { jsonNodeOf } from "../json/json-value.ts"
import { LATEST_REMINDER } from "@ds4/tokenizer/special-tokens"
import type { AssistantMessage, Conversation, Message } from "./conversation.ts"
import { orderToolResults } from "./result-order.ts"
import { RESPONSE_FORMAT_HEADING } from "./tools-block.ts"
import { type Turn, turnsOf, type UserTurn } from "./turns.ts"
import type { TurnWriter } from "./turn-writer.ts"

type DeveloperTurn = Extract<Turn, { role: "developer" }>

class ReferenceRenderer {
  private readonly headTexts: readonly string[]
  private readonly turns: readonly Turn[]
  private readonly keepsAllReasoning: boolean
  private readonly lastUserIndex: number

  constructor(
    private readonly conversation: Conversation,
    private readonly writer: TurnWriter,
  ) {
    const { messages, tools } = conversation
    const firstAssistant = messages.findIndex(({ role }) => role === "assistant")
    const isHead = ({ role }: Message, index: number): boolean =>
      role === "system" && (firstAssistant < 0 || index < firstAssistant)
    this.headTexts = messages.filter(isHead).map(({ content }) => content)
    this.turns = orderToolResults(
      turnsOf(messages.filter((message, index) => !isHead(message, index))),
    )
    this.lastUserIndex = this.turns.findLastIndex(
      ({ role }) => role === "user" || role === "developer",
    )
    this.keepsAllReasoning =
      (tools?.length ?? 0) > 0 ||
      this.turns.some((turn) => turn.role === "developer" && (turn.tools?.length ?? 0) > 0)
  }

  render(): void {
    this.head()
    this.turns.forEach((turn, index) => {
      if (turn.role === "assistant") this.assistant(turn, index)
      else if (turn.role === "user") this.user(turn)
      else if (turn.role === "developer") this.developer(turn)
      else this.writer.out.control(LATEST_REMINDER).plain(turn.content)
      this.task(index)
    })
    if (this.taskAt(this.turns.length - 1) === undefined && !this.isContinued)
      this.writer.generationPrompt()
  }

  private get isContinued(): boolean {
    return this.writer.options.continueFinal === true
  }

  private head(): void {
    const { out } = this.writer
    const { tools, responseFormat } = this.conversation
    out.plain(this.headTexts.filter((text) => text !== "").join("\n\n"))
    if (tools !== undefined && tools.length > 0) {
      out.control("\n\n")
      this.writer.toolsBlock(tools)
    }
    if (responseFormat !== undefined) {
      out
        .control(`\n\n${RESPONSE_FORMAT_HEADING}`)
        .plain(writeJsonNode(jsonNodeOf(responseFormat.schema), "spaced"))
    }
  }

  private user({ parts }: UserTurn): void {
    this.writer.userMarker()
    parts.forEach((part, index) => {
      if (index > 0) this.writer.out.control("\n\n")
      if (part.role === "tool") this.writer.toolResult(part.content)
      else this.writer.out.plain(part.content)
    })
  }

  private developer({ content, tools }: DeveloperTurn): void {
    this.writer.userMarker()
    this.writer.out.plain(content)
    if (tools === undefined || tools.length === 0) return
    this.writer.out.control("\n\n")
    this.writer.toolsBlock(tools)
  }

  private assistant(message: AssistantMessage, index: number): void {
    const isKept =
      this.writer.options.thinking && (this.keepsAllReasoning || index > this.lastUserIndex)
    const isOpen = this.isContinued && index === this.turns.length - 1
    // The token of a task stands for marker and thinking.
    if (this.taskAt(index - 1) === undefined) {
      this.writer.assistantMarker()
      this.writer.thinkingPart(isKept ? (message.reasoning ?? "") : undefined, message, isOpen)
    }
    this.writer.assistantBody(message, isOpen)
  }

  private taskAt(index: number): UserTurn["task"] {
    const turn = this.turns[index]
    return turn?.role === "user" || turn?.role === "assistant" ? turn.task : undefined
  }

  /** The token of a task, unless the user goes on. */
  private task(index: number): void {
    const task = this.taskAt(index)
    const next = this.turns[index + 1]?.role
    if (task !== undefined && next !== "user" && next !== "developer") this.writer.task(task)
  }
}

export const renderReference = (conversation: Conversation, turns: TurnWriter): void =>
  new ReferenceRenderer(conversation, turns).render()
