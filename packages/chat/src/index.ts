export { open, chatWith, type OpenOptions } from "./open.ts"
export { Chat, type ChatParts } from "./chat.ts"
export type {
  AnswerEvent,
  AnswerUsage,
  FinishEvent,
  FinishReason,
  SampledLogprob,
} from "./answer/answer-event.ts"
export type { AnswerMemoryLimits } from "./answer/answer-memory.ts"
export type {
  AnswerOptions,
  AnswerRequest,
  Prompt,
  PromptRequest,
} from "./answer/answer-request.ts"
export { firstWords, promptPreview } from "./answer/prompt-preview.ts"
export type { AnswerStream } from "./answer/answer-stream.ts"
export { ContextOverflowError, outputLimit } from "./answer/context-overflow.ts"
export { ReplayLog } from "./template/replay-log.ts"
export { renderChat } from "./template/chat-template.ts"
export { segmentsText } from "./template/segment-writer.ts"
export type { Conversation, Message, ToolCall, ToolDeclaration } from "./template/conversation.ts"
export {
  detectEffortTable,
  EFFORT_WORDS,
  parseEffort,
  type Effort,
  type ThinkingLevel,
} from "./template/effort.ts"
export { JsonError } from "./json/json-lexer.ts"
export {
  JsonLimitError,
  type JsonLimits,
  jsonSourceOf,
  parseJson,
  parseJsonInSlices,
} from "./json/json-value.ts"
export { OutputParser } from "./parser/output-parser.ts"
export type { OutputEvent } from "./parser/events.ts"
export { chatRequest } from "./readers/openai-chat.ts"
export { anthropicRequest } from "./readers/anthropic-messages.ts"
export { responsesRequest } from "./readers/openai-responses.ts"
export type { ToolIdentity } from "./readers/response-tools.ts"
export type { ReadRequest } from "./readers/request.ts"
export { RequestError } from "./readers/request-error.ts"
