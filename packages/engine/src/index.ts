export { NativeEngine, type EngineTrace } from "./client.ts"
export { EMBEDDED_MODEL_NOTE, EMBEDDED_MODEL_PATH } from "./embedded-model.ts"
export {
  loadModel,
  loadWeights,
  openEngine,
  type LoadedModel,
  type LoadedWeights,
} from "./load-model.ts"
export { planEngine, type DensePlace, type EnginePlan } from "./plan-engine.ts"
export { expertOptions, type ExpertFlags } from "./expert-flags.ts"
export type { KvDiskOptions } from "./checkpoints/checkpoints.ts"
export type { KvFiles, SavedAs, StateSaved } from "./checkpoints/kv-files.ts"
export { KvStoreError, type CheckpointListing, type KvStoreErrorCode } from "@ds4/kv-store"
export { contextNote } from "./context-note.ts"
export { memoryAccount, type MemoryAccount } from "./memory-account.ts"
export { expertsText } from "./experts-text.ts"
export { EngineError, type EngineErrorCode } from "./errors.ts"
export { machine } from "./library.ts"
export { nativeConvertRows } from "./convert-rows.ts"
export type { LogitsOptions, LogitsRow } from "./logits.ts"
export type { EngineDescription, StepItem } from "./native/engine-handle.ts"
export type { MarkHandle } from "./native/mark.ts"
export type { SessionHandle } from "./native/session.ts"
export {
  quantize,
  type QuantizeOptions,
  type QuantizeProgress,
} from "./quantize/quantize.ts"
export { RECIPES, type Recipe, type RecipeName } from "./quantize/recipe.ts"
export type {
  CacheReport,
  EndReason,
  EngineModel,
  EngineOptions,
  EngineStats,
  EngineSwitches,
  ExpertOptions,
  GeneratedToken,
  GenerateEvent,
  GenerateRequest,
  InferenceEngine,
  LoadProgress,
  PrefixCacheStats,
  SamplingOptions,
  Usage,
} from "./types.ts"
