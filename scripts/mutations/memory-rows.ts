// Faults of the memory account.
import type { Mutation } from "./mutation.ts"

const CPU_MEMORY = "native/src/backend/cpu/cpu_memory.cc"
const COUNTED = "the workspace that a plan counts is the one that a long step and an answer"
const LIBRARY = "with packed experts a plan counts the workspace of their library too"

export const MEMORY_ROWS: readonly Mutation[] = [
  {
    name: "the account has the workspace of one lane alone",
    file: CPU_MEMORY,
    find: "+\n                     workspace_bytes(facts, shortest, account.session_tokens);",
    replace: ";",
    tests: [COUNTED],
  },
  {
    name: "the account leaves out the expert library's workspace",
    file: CPU_MEMORY,
    find: "    bytes += library_workspace_bytes(library, longest);\n",
    replace: "",
    tests: [LIBRARY],
  },
  {
    name: "an engine's description leaves out the expert library's workspace",
    file: "native/src/experts/packed_experts.cc",
    find: 'name = "\\"workspace_bytes\\":";',
    replace: 'name = "\\"no_bytes\\":";',
    tests: [LIBRARY],
  },
]
