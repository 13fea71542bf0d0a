// Faults of sessions: cache pages, snapshots, the memory account, the scheduler, the sampler.
import type { Mutation } from "./mutation.ts"

export const SESSION_ROWS: readonly Mutation[] = [
  {
    name: "index rows lie where the compressed entries of their layer do",
    file: "native/src/kv/page_layout.cc",
    find: "if (facts.has_indexer()) layer.index = place(",
    replace: "if (facts.has_indexer()) layer.index = layer.compressed, static_cast<void>(",
    tests: ["a page holds the entries and index rows of 2048 tokens"],
  },
  {
    name: "the account of a session counts no compressor rows",
    file: "native/src/kv/cache_layout.cc",
    find: "total += slots * compressor_row_bytes(layer, shape.head_dim);",
    replace: "total += 0 * slots;",
    tests: ["the memory account of a sequence counts"],
  },
  {
    name: "the workspace of an account forgets the queries",
    file: "native/src/backend/cpu/workspace_bytes.cc",
    find: "            floats(n * shape_.attention_width());\n",
    replace: "",
    tests: ["the workspace that a plan counts"],
  },
  {
    name: "the account has no room for the workspace of a step",
    file: "native/src/experts/memory_budget.cc",
    find: "account.session(account.session_tokens) + account.workspace;",
    replace: "account.session(account.session_tokens);",
    tests: ["memory decides: for auto everything must fit"],
  },
  {
    name: "scratch memory that no step needs is kept for ever",
    file: "native/src/backend/cpu/workspace.cc",
    find: "< buffer->bytes()) buffer->release();",
    replace: "< 0) buffer->release();",
    tests: ["memory that no step of a review needed"],
  },
  {
    name: "scratch memory is given back after every step",
    file: "native/src/backend/cpu/workspace.cc",
    find: "if (++steps_ < kReviewSteps) return;",
    replace: "release();",
    tests: ["memory that no step of a review needed"],
  },
  {
    name: "a house full of decoding jobs keeps prompts out for ever",
    file: "native/src/core/scheduler/batch_planner.cc",
    find: "if (room == 0 && !prompts.empty() && turn_ % 8 == 0) {",
    replace: "if (room == 0 && !prompts.empty() && turn_ % 8 == 9) {",
    tests: ["a house full of decoding jobs does not keep a prompt out for ever"],
  },
  {
    name: "where prompts do not fit, the shortest wins every time",
    file: "native/src/core/scheduler/batch_planner.cc",
    find: "if (prompts.size() > room)",
    replace: "if (prompts.size() > room + 1000000)",
    tests: ["more prompts than the step has tokens take turns"],
  },
  {
    name: "a draw at the border of two tokens takes the earlier one",
    file: "native/src/sampling/sampler.cc",
    find: "if (rest < weight) return int32_t(id);",
    replace: "if (rest <= weight) return int32_t(id);",
    tests: ["a draw at the very border of two tokens takes the later one"],
  },
  {
    name: "a nucleus of less than top_p is enough",
    file: "native/src/sampling/sampler.cc",
    find: "return uint64_t(std::ceil(double(top_p) * double(total)));",
    replace: "return uint64_t(std::ceil(double(top_p) * double(total) * 0.9));",
    tests: ["the sampler equals a plain full sort"],
  },
  {
    name: "a lane without steps keeps its memory",
    file: "native/src/backend/step_lane.cc",
    find: "    runner_.rest();\n",
    replace: "",
    tests: ["a lane without steps rests once"],
  },
]
