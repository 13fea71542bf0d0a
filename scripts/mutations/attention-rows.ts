// Faults of the CPU backend's attention: indexer, choice of rows, attention heads, compressor.
import type { Mutation } from "./mutation.ts"

const BLOCKS = "native/src/backend/cpu/blocks"
const INDEXER = `${BLOCKS}/indexer.cc`
const TOP_ROWS = `${BLOCKS}/top_rows.cc`
const LONG_INDEX = "the indexer scores and chooses among 45000 keys"

export const ATTENTION_ROWS: readonly Mutation[] = [
  {
    name: "scores of plain index keys beyond the first 8192 are misplaced",
    file: INDEXER,
    find: "float *out = scores_pointer_ + q * stride_ + base + first;",
    replace: "float *out = scores_pointer_ + q * stride_ + first;",
    tests: [LONG_INDEX],
  },
  {
    name: "plain index keys beyond the first 8192 are read from the first block",
    file: INDEXER,
    find: "decode(keys.row(base + i), block + i * dim)",
    replace: "decode(keys.row(i), block + i * dim)",
    tests: [LONG_INDEX],
  },
  {
    name: "scores of packed index keys beyond the first tile are misplaced",
    file: INDEXER,
    find: "scores_pointer_ + q * stride_ + first);",
    replace: "scores_pointer_ + q * stride_);",
    tests: [LONG_INDEX],
  },
  {
    name: "packed index keys beyond the first tile are read from the first",
    file: INDEXER,
    find: "keys.row(first), count,",
    replace: "keys.row(0), count,",
    tests: [LONG_INDEX],
  },
  {
    name: "rows chosen in a later block of scores keep the numbers of the first",
    file: INDEXER,
    find: "of_block[i] += int32_t(b * block);",
    replace: "of_block[i] += int32_t(b * 0);",
    tests: [LONG_INDEX],
  },
  {
    name: "a query chooses among entries that close after its position",
    file: INDEXER,
    find: "visible(in.first + begin + q),\n                                    top_k,",
    replace: "visible(in.first + end - 1),\n                                    top_k,",
    tests: ["queries of one call see only the entries that are closed"],
  },
  {
    name: "of equal index scores the later row is chosen",
    file: TOP_ROWS,
    find: "a.id < b.id",
    replace: "a.id > b.id",
    tests: ["the best rows equal those of a stable sort", LONG_INDEX],
  },
  {
    name: "a score that is NaN is the best one",
    file: TOP_ROWS,
    find: "score = -INFINITY",
    replace: "score = INFINITY",
    tests: ["the best rows equal those of a stable sort"],
  },
]
