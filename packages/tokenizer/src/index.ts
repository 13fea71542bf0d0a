export { withExpertWeights } from "./expert-weights.ts"
export { openModelFile, type ModelFile, type TokenizerSource } from "./model-file.ts"
export { type ModelConfig } from "./model-config.ts"
export { type TensorEntry } from "./tensor-table.ts"
export { ModelFileError, type ModelFileErrorCode } from "./model-file-error.ts"
export {
  TENSOR_KINDS,
  type TensorKind,
  type TensorKindName,
  type TensorScope,
} from "./tensor-kinds.ts"
export {
  TENSOR_TYPES,
  tensorTypeById,
  tensorTypeName,
  elementBytes,
  type TensorType,
  type TensorTypeName,
} from "./tensor-types.ts"
export { verifyModelFile, type VerifyOptions } from "./check-values.ts"
export {
  createTokenizer,
  loadTokenizer,
  requireChatTokens,
  type Segment,
  type Tokenizer,
  type TokenizerOptions,
} from "./tokenizer.ts"
export { TokenizerError, type TokenizerErrorCode } from "./tokenizer-error.ts"
export { StreamDecoder } from "./bpe/stream-decoder.ts"
export { tokenizerGgufMetadata } from "./bpe/tokenizer-gguf.ts"
export { buildVocabulary, type Vocabulary, type VocabularyParts } from "./bpe/vocabulary.ts"
export {
  describeModelFile,
  TENSOR_GROUPS,
  type ModelDescription,
  type TensorGroup,
} from "./describe.ts"
export {
  ALLOWED_TYPES,
  expectedTensors,
  officialInventory,
  officialMtpInventory,
  officialStorage,
  scaleName,
  storedBytes,
  tensorName,
  type ContainerFormat,
  type ExpectedTensor,
  type OfficialStorage,
  type StoredSafetensor,
  type TensorRole,
} from "./inventory.ts"
export { diskFiles, type ByteSource, type FileAccess } from "./byte-source.ts"
export { type ByteSink, type WriteOptions } from "./atomic-file.ts"
export { type GgufScalarType, type GgufValue } from "./gguf/metadata.ts"
export {
  layoutGguf,
  writeGguf,
  type GgufLayout,
  type GgufPlan,
  type GgufTensorPlan,
} from "./gguf/writer.ts"
export {
  metadataFromConfig,
  type ConfigMetadataOptions,
  type GgufDialect,
} from "./gguf/config-writer.ts"
export { layoutSafetensors, writeSafetensors, type SafetensorsPlan } from "./safetensors/writer.ts"
export { renderChat, startsInThinking, type RenderOptions } from "./chat/chat-template.ts"
export { thinkingLeftOut } from "./chat/past-thinking.ts"
export { segmentsText } from "./chat/segment-writer.ts"
export type { Profile } from "./chat/tools-block.ts"
export type {
  AssistantMessage,
  Conversation,
  DeveloperMessage,
  Message,
  ReminderMessage,
  SystemMessage,
  ToolCall,
  ToolDeclaration,
  ToolMessage,
  UserMessage,
} from "./chat/conversation.ts"
export {
  EFFORT_TABLES,
  EFFORT_WORDS,
  detectEffortTable,
  effortTableFromJson,
  parseEffort,
  type Effort,
  type EffortTable,
} from "./chat/effort.ts"
export {
  ToolReplay,
  alignBlock,
  type ReplayBlock,
  type ReplayHit,
  type ReplayOrigin,
  type ToolReplayLimits,
} from "./chat/replay.ts"
export { JsonError, MAX_JSON_DEPTH } from "./json/json-node.ts"
export { parseJson } from "./json/json-value.ts"
export * as specialTokens from "./special-tokens.ts"
export { officialConfigJson } from "./safetensors/config-writer.ts"
export { FLASH_CONFIG, PRO_CONFIG, publishedName } from "./published-configs.ts"
export {
  OutputParser,
  type EngineFinish,
  type OutputParserOptions,
  type OutputResult,
} from "./output/output-parser.ts"
export type { OutputEvent, ParsedCall } from "./output/events.ts"
export { chatRequest } from "./wire/openai-chat.ts"
export { anthropicRequest } from "./wire/anthropic-messages.ts"
export {
  responsesRequest,
  type ReadResponses,
  type ReadResponsesOptions,
} from "./wire/openai-responses.ts"
export type { ToolIdentity } from "./wire/response-tools.ts"
export type { ReadOptions, ReadRequest } from "./wire/request.ts"
export { RequestError } from "./wire/request-error.ts"
