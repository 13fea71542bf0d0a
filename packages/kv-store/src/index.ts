export { compatibilityOf, type Compatibility } from "./format/compatibility.ts"
export { KvStoreError, type KvStoreErrorCode } from "./kv-store-error.ts"
export type { CheckpointListing, Match } from "./store/listing.ts"
export {
  KvStore,
  type KvStoreOptions,
  type LookupOptions,
  type StoreStats,
} from "./store/kv-store.ts"
export type { ReadOptions } from "./store/read-checkpoint.ts"
export type { Refusal, SaveResult } from "./store/save-checkpoint.ts"
export type { SaveRequest, StateSource } from "./store/save-plan.ts"
export type { Verification } from "./store/verify.ts"
