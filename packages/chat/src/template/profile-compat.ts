// Profile `compat`: byte for byte what the May 2026 ds4 server produces, so that its checkpoints
// can be used.
import type { AssistantMessage, Conversation, Message } from "./conversation.ts"
import type { TurnWriter } from "./turn-writer.ts"

type Turn = Extract<Message, { role: "user" | "assistant" | "tool" }>

const isTurn = (message: Message): message is Turn =>
  message.role === "user" || message.role === "assistant" || message.role === "tool"

const hasToolHistory = (turns: readonly Turn[]): boolean =>
  turns.some(
    (turn) =>
      turn.role === "tool" || (turn.role === "assistant" && (turn.toolCalls?.length ?? 0) > 0),
  )

/** Tools stand first: a system text whose tail changes then costs less of the prefix. */
const writeHead = ({ messages, tools }: Conversation, turns: TurnWriter): void => {
  const system = messages
    .filter(({ role, content }) => (role === "system" || role === "developer") && content !== "")
    .map(({ content }) => content)
    .join("\n\n")
  const hasTools = tools !== undefined && tools.length > 0
  if (hasTools) turns.toolsBlock(tools)
  if (hasTools && system !== "") turns.out.control("\n\n")
  turns.out.plain(system)
}

export const renderCompat = (conversation: Conversation, turns: TurnWriter): void => {
  const { thinking, continueFinal } = turns.options
  writeHead(conversation, turns)
  const messages = conversation.messages.filter(isTurn)
  const keepsAllReasoning = (conversation.tools?.length ?? 0) > 0 || hasToolHistory(messages)
  const lastUserIndex = messages.findLastIndex(({ role }) => role !== "assistant")
  const assistant = (message: AssistantMessage, index: number): void => {
    const isOpen = continueFinal === true && index === messages.length - 1
    if (index > 0) {
      turns.assistantMarker()
      const isKept = thinking && (keepsAllReasoning || index > lastUserIndex)
      turns.thinkingPart(isKept ? (message.reasoning ?? "") : undefined, message, isOpen)
    }
    turns.assistantBody(message, isOpen)
  }
  messages.forEach((message, index) => {
    if (message.role === "assistant") return assistant(message, index)
    const followsResult = messages[index - 1]?.role === "tool"
    const continues =
      followsResult && (message.role === "tool" || message.continuesResults === true)
    if (!continues) turns.userMarker()
    if (message.role === "tool") turns.toolResult(message.content)
    else turns.out.plain(message.content)
  })
  if (continueFinal !== true) turns.generationPrompt()
}
