export { withExpertWeights } from "./expert-weights.ts"
export { openModelFile } from "./open-model-file.ts"
export { type ModelFile, type TokenizerSource } from "./model-file.ts"
export { type ModelConfig } from "./model-config.ts"
export { type TensorEntry } from "./tensor-table.ts"
export { ModelFileError, type ModelFileErrorCode } from "./model-file-error.ts"
export { TENSOR_KINDS } from "./tensor-kinds.ts"
export {
  TENSOR_TYPES,
  tensorTypeById,
  tensorTypeName,
  elementBytes,
  type TensorType,
  type TensorTypeName,
} from "./tensor-types.ts"
export { verifyModelFile } from "./check-values.ts"
export { describeModelFile, type ModelDescription } from "./describe.ts"
export {
  expectedTensors,
  officialMtpInventory,
  officialStorage,
  storedBytes,
  type ExpectedTensor,
  type StoredSafetensor,
} from "./inventory.ts"
export { FOREIGN_HEAD_BYTES, foreignFile } from "./foreign-file.ts"
export { parsePythonJson } from "./safetensors/json.ts"
export { diskFiles, type ByteSource } from "./byte-source.ts"
export { type ByteSink } from "./output/byte-sink.ts"
export { openGrowingOutput, type GrowingOutput } from "./output/growing-output.ts"
export { OutputError, type OutputErrorCode } from "./output/output-error.ts"
export { outputTarget, STANDARD_OUTPUT, type OutputTarget } from "./output/output-target.ts"
export { writeOutput, writeTextOutput, type WriteOptions } from "./output/write-output.ts"
export { type GgufValue } from "./gguf/metadata.ts"
export { writeGguf, layoutGguf, type GgufTensorPlan } from "./gguf/writer.ts"
export { metadataFromConfig, type GgufDialect } from "./gguf/config-writer.ts"
export { DTYPE_BYTES, type SafetensorsDtype } from "./safetensors/header.ts"
export { writeSafetensors } from "./safetensors/writer.ts"
export { officialConfigJson } from "./safetensors/config-writer.ts"
export { FLASH_CONFIG } from "./published-configs.ts"
