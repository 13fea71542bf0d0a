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
export { describeModelFile, TENSOR_GROUPS, type ModelDescription, type TensorGroup } from "./describe.ts"
export {
  ALLOWED_TYPES, expectedTensors, officialInventory, officialMtpInventory, officialStorage, scaleName, storedBytes, tensorName,
  type ContainerFormat, type ExpectedTensor, type OfficialStorage, type StoredSafetensor, type TensorRole,
} from "./inventory.ts"
export { diskFiles, type ByteSource, type FileAccess } from "./byte-source.ts"
export { type ByteSink, type WriteOptions } from "./atomic-file.ts"
export { type GgufScalarType, type GgufValue } from "./gguf/metadata.ts"
export { layoutGguf, writeGguf, type GgufLayout, type GgufPlan, type GgufTensorPlan } from "./gguf/writer.ts"
export { metadataFromConfig, type ConfigMetadataOptions, type GgufDialect } from "./gguf/config-writer.ts"
export { layoutSafetensors, writeSafetensors, type SafetensorsPlan } from "./safetensors/writer.ts"
