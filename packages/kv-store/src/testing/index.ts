export { MemoryFiles } from "./memory-files.ts"
export {
  collect,
  SyntheticState,
  TEST_MODEL,
  tokenIds,
  withOther,
  type SyntheticOptions,
} from "./synthetic-state.ts"
