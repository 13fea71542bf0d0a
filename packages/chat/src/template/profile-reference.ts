// Profile `reference`: byte for byte what the vendor's encoder produces.
import { writeJsonNode } from "../json/json-node.ts"
import { jsonNodeOf } from "../json/json-value.ts"
import { LATEST_REMINDER, taskToken } from "@ds4/tokenizer/special-tokens"
import type { AssistantMessage, Conversation, Message } from "./conversation.ts"
import { orderToolResults } from "./result-order.ts"
import { RESPONSE_FORMAT_HEADING } from "./tools-block.ts"
import type { TurnWriter } from "./turn-writer.ts"

const isUserLike = ({ role }: Message): boolean =>
  role !== "assistant" && role !== "latest_reminder"

class ReferenceRenderer {
  /**
   * user: the open turn, which takes further parts; task: closed by a task token that stands for
   * the marker.
   */
  private state: "none" | "user" | "assistant" | "task" = "none"
  private readonly messages: readonly Message[]
  private readonly keepsAllReasoning: boolean
  private readonly lastUserIndex: number

  constructor(
    private readonly conversation: Conversation,
    private readonly turns: TurnWriter,
  ) {
    this.messages = orderToolResults(conversation.messages)
    this.lastUserIndex = this.messages.findLastIndex(isUserLike)
    this.keepsAllReasoning =
      (conversation.tools?.length ?? 0) > 0 ||
      conversation.messages.some(
        (message) => message.role === "developer" && (message.tools?.length ?? 0) > 0,
      )
  }

  render(): void {
    const firstAssistant = this.messages.findIndex(({ role }) => role === "assistant")
    const isHead = ({ role }: Message, index: number): boolean =>
      role === "system" && (firstAssistant < 0 || index < firstAssistant)
    this.head(this.messages.filter(isHead).map(({ content }) => content))
    this.messages.forEach((message, index) => {
      if (!isHead(message, index)) this.message(message, index)
    })
    if (this.state !== "task" && this.turns.options.continueFinal !== true)
      this.turns.generationPrompt()
  }

  private head(systemTexts: readonly string[]): void {
    const { out } = this.turns
    const { tools, responseFormat } = this.conversation
    out.plain(systemTexts.filter((text) => text !== "").join("\n\n"))
    if (tools !== undefined && tools.length > 0) {
      out.control("\n\n")
      this.turns.toolsBlock(tools)
    }
    if (responseFormat !== undefined) {
      out
        .control(`\n\n${RESPONSE_FORMAT_HEADING}`)
        .plain(writeJsonNode(jsonNodeOf(responseFormat.schema), "spaced"))
    }
  }

  private openPart(): void {
    if (this.state === "user") this.turns.out.control("\n\n")
    else this.turns.userMarker()
    this.state = "user"
  }

  private message(message: Message, index: number): void {
    const { out } = this.turns
    if (message.role === "assistant") return this.assistant(message, index)
    if (message.role === "latest_reminder") {
      out.control(LATEST_REMINDER).plain(message.content)
      this.state = "none"
      return
    }
    this.openPart()
    if (message.role === "tool") this.turns.toolResult(message.content)
    else out.plain(message.content)
    if (message.role === "developer" && message.tools !== undefined && message.tools.length > 0) {
      out.control("\n\n")
      this.turns.toolsBlock(message.tools)
    }
    if (message.role === "user" && message.task !== undefined) {
      out.control(taskToken(message.task))
      this.state = "task"
    }
  }

  private assistant(message: AssistantMessage, index: number): void {
    const { options } = this.turns
    const isKept = options.thinking && (this.keepsAllReasoning || index > this.lastUserIndex)
    const isOpen = options.continueFinal === true && index === this.messages.length - 1
    if (this.state !== "task") {
      this.turns.assistantMarker()
      this.turns.thinkingPart(isKept ? (message.reasoning ?? "") : undefined, message, isOpen)
    }
    this.turns.assistantBody(message, isOpen)
    this.state = message.task === undefined ? "assistant" : "task"
  }
}

export const renderReference = (conversation: Conversation, turns: TurnWriter): void =>
  new ReferenceRenderer(conversation, turns).render()
