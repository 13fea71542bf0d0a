export { compatibilityOf, type Compatibility } from "./format/compatibility.ts"
export { KvcFile, writeKvcFile, type KvcContent, type KvcTool } from "./kvc/file.ts"
export {
  importKvcFile,
  kvcKey,
  listKvcFolder,
  type KvcImport,
  type KvcListing,
} from "./kvc/folder.ts"
export type { KvcFlags, KvcHeader } from "./kvc/header.ts"
export {
  encodeKvcCounts,
  encodeKvcShape,
  kvcPayloadBytes,
  kvcPieces,
  type KvcPiece,
  type KvcShape,
} from "./kvc/payload.ts"
export { KvStoreError, type KvStoreErrorCode } from "./kv-store-error.ts"
export type { CheckpointListing, Match } from "./store/listing.ts"
export type { Divergence } from "./store/explain-miss.ts"
export { KvStore, type LookupOptions, type StoreStats } from "./store/kv-store.ts"
export type { KvStoreOptions } from "./store/open-store.ts"
export type { ReadOptions } from "./store/read-checkpoint.ts"
export type { Refusal, SaveResult } from "./store/save-checkpoint.ts"
export type { SaveRequest, StateSource } from "./store/save-plan.ts"
export type { Verification } from "./store/verify.ts"
