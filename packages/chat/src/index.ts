export { renderChat, startsInThinking } from "./template/chat-template.ts"
export { thinkingLeftOut } from "./template/past-thinking.ts"
export { segmentsText } from "./template/segment-writer.ts"
export type { Conversation, Message, ToolCall, ToolDeclaration } from "./template/conversation.ts"
export {
  EFFORT_TABLES,
  detectEffortTable,
  parseEffort,
  type Effort,
  type EffortTable,
} from "./template/effort.ts"
export { ToolReplay, alignBlock, type ReplayBlock } from "./template/replay.ts"
export { JsonError } from "./json/json-node.ts"
export { parseJson } from "./json/json-value.ts"
export { OutputParser } from "./parser/output-parser.ts"
export type { OutputEvent, ParsedCall } from "./parser/events.ts"
export { chatRequest } from "./readers/openai-chat.ts"
export { anthropicRequest } from "./readers/anthropic-messages.ts"
export { responsesRequest } from "./readers/openai-responses.ts"
export type { ToolIdentity } from "./readers/response-tools.ts"
export type { ReadRequest } from "./readers/request.ts"
export { RequestError } from "./readers/request-error.ts"
