// All mutations. A reviewer's idea of a fault is a row here, and a test that notices it.
import { ATTENTION_ROWS } from "./attention-rows.ts"
import { BLOCK_ROWS } from "./block-rows.ts"
import { KV_ROWS } from "./kv-rows.ts"
import { LOADING_ROWS } from "./loading-rows.ts"
import { MEMORY_ROWS } from "./memory-rows.ts"
import type { Mutation } from "./mutation.ts"
import { PACKAGE_ROWS } from "./package-rows.ts"
import { SESSION_ROWS } from "./session-rows.ts"
import { STORE_ROWS } from "./store-rows.ts"

export const MUTATIONS: readonly Mutation[] = [
  ...ATTENTION_ROWS,
  ...BLOCK_ROWS,
  ...KV_ROWS,
  ...LOADING_ROWS,
  ...MEMORY_ROWS,
  ...PACKAGE_ROWS,
  ...SESSION_ROWS,
  ...STORE_ROWS,
]
