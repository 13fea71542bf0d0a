// Faults of cache pages, marks and snapshots, and of the memory account.
import type { Mutation } from "./mutation.ts"

const KV = "native/src/kv"
const SEQUENCE = "native/src/backend/cpu/sequence.cc"
const FAR_ROWS = "rows far apart never share their bytes"
const SHARED = "only who does not own the last one copies it"
const ACCOUNT = "the memory account of a sequence counts"
const BYTES = "the bytes of a sequence are its rings and whole pages"

export const KV_ROWS: readonly Mutation[] = [
  {
    name: "row pages past the fourth are the fourth",
    file: `${KV}/page_table.h`,
    find: "uint8_t *page(int64_t index) const { return rows_[size_t(index)]; }",
    replace: "uint8_t *page(int64_t index) const { return rows_[size_t(index < 3 ? index : 3)]; }",
    tests: [FAR_ROWS],
  },
  {
    name: "a table appends to the last page of another one",
    file: `${KV}/page_table.cc`,
    find: "(pages_[size_t(begin / kTokens)]->writer != writer_ || begin < held_end_);",
    replace: "begin < held_end_;",
    tests: [SHARED],
  },
  {
    name: "a table that has gone back overwrites what later marks hold",
    file: `${KV}/page_table.cc`,
    find: "(pages_[size_t(begin / kTokens)]->writer != writer_ || begin < held_end_);",
    replace: "pages_[size_t(begin / kTokens)]->writer != writer_;",
    tests: ["a table that goes back does not overwrite"],
  },
  {
    name: "a copied page lacks the entries that its tokens had",
    file: `${KV}/page_table.cc`,
    find: "pool_->pages.each_filled(begin % kTokens,",
    replace: "pool_->pages.each_filled(begin % kTokens / 2,",
    tests: [SHARED],
  },
  {
    name: "token ids of a snapshot are not checked",
    file: `${KV}/snapshot_reader.cc`,
    find: "token < 0 || token >= pool_->layout.shape.vocab)",
    replace: "token == INT32_MIN)",
    tests: ["every token id of a snapshot is checked"],
  },
  {
    name: "the checksum of a region does not know its number",
    file: `${KV}/snapshot.cc`,
    find: "Checksum sum(region);",
    replace: "Checksum sum(0);",
    tests: ["damage is found in the region where it lies"],
  },
  {
    name: "a snapshot of another model of the same shape is taken",
    file: `${KV}/snapshot_reader.cc`,
    find: "header.identity.model != pool_->identity.model",
    replace: "header.tokens > (1u << 30)",
    tests: [
      "a snapshot is refused by another model",
      "a snapshot of other weights in the same shape is refused",
    ],
  },
  {
    name: "experts are no part of a model's identity",
    file: "native/src/model/model_identity.cc",
    find: "add_tensor(hash, kind, layer, experts[e], sampled);",
    replace: "if (sampled) hash.add(&kind, sizeof kind);",
    tests: ["the identity of a model sees each of its tensors change"],
  },
  {
    name: "the bytes of a session are halved",
    file: SEQUENCE,
    find: "bytes_.store(total, std::memory_order_relaxed);",
    replace: "bytes_.store(total / 2, std::memory_order_relaxed);",
    tests: [BYTES],
  },
  {
    name: "index rows are missing from the memory account",
    file: `${KV}/page_layout.cc`,
    find: "bytes_ += (rows * row_bytes",
    replace: "if (row_bytes > 512) bytes_ += (rows * row_bytes",
    tests: [ACCOUNT],
  },
  {
    name: "a session is cut back to a mark of other tokens",
    file: `${KV}/mark.cc`,
    find: "!std::equal(mine.tokens.data(), mine.tokens.data() + count, theirs.tokens.data()))",
    replace: "count < 0)",
    tests: ["a session that is cut back to a mark"],
  },
  {
    name: "a dropped token's rows become current",
    file: SEQUENCE,
    find: "i < staged_count_ && staged_first_ + i < end;",
    replace: "i < staged_count_;",
    tests: ["steps of which only some tokens are kept"],
  },
]
