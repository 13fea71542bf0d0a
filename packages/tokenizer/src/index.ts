export { openModelFile, type ModelFile, type TokenizerSource } from "./model-file.ts"
export { type ModelConfig } from "./model-config.ts"
export { type TensorEntry } from "./tensor-table.ts"
export { ModelFileError, type ModelFileErrorCode } from "./model-file-error.ts"
export { TENSOR_KINDS, type TensorKind, type TensorKindName, type TensorScope } from "./tensor-kinds.ts"
export { TENSOR_TYPES, tensorTypeById, tensorTypeName, elementBytes, type TensorType, type TensorTypeName } from "./tensor-types.ts"
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
