// Faults of loading: files that become shorter, progress, cancellation.
import type { Mutation } from "./mutation.ts"

const LOST_PAGES = "native/src/machine/lost_pages.cc"
const OPEN_BACKEND = "native/src/backend/open_backend.cc"
const PACKED_DENSE = "native/src/backend/cpu/packed_dense.cc"
const COUNTS = "packing of dense matrices counts its bytes, and a cancel ends it"

export const LOADING_ROWS: readonly Mutation[] = [
  {
    name: "each lost page becomes a mapping of its own",
    file: LOST_PAGES,
    find: "page, bytes + (address - page), PROT_READ",
    replace: "page, page_bytes, PROT_READ",
    tests: ["a truncated file has more lost pages than a process may have mappings"],
  },
  {
    name: "a lost file loses the pages before the lost one too",
    file: LOST_PAGES,
    find: "return count - (address - first);",
    replace: "return count;",
    tests: ["the pages before a lost one stay, and other mappings"],
  },
  {
    name: "a file is not remembered as lost",
    file: LOST_PAGES,
    find: "    slot->lost.store(true, std::memory_order_release); // before another",
    replace: "    // before another",
    tests: ["whoever has read a zero in the place of a lost byte"],
  },
  {
    name: "a thread that blocks all signals dies of a lost page while an engine opens",
    file: OPEN_BACKEND,
    find: "    const UnblockedFaults faults;\n",
    replace: "",
    tests: ["a truncated file is an error for threads of a host that blocks all signals"],
  },
  {
    name: "an engine opens over a file that was written to while it loaded",
    file: OPEN_BACKEND,
    find: "        check_unchanged(model.files()); // opening has read weights\n",
    replace: "        check_pages(model.files());\n",
    tests: ["a model file that is written to while it loads is an error"],
  },
  {
    name: "a cancel does not end the packing of dense matrices",
    file: PACKED_DENSE,
    find: '    if (progress.is_cancelled()) fail(DS4_ERR_CANCELLED, "loading was cancelled");\n',
    replace: "",
    tests: [COUNTS, "a load that is cancelled ends at once"],
  },
  {
    name: "dense matrices are missing from the progress of loading",
    file: PACKED_DENSE,
    find: "            progress.add(uint64_t(strip_bytes));\n",
    replace: "",
    tests: [COUNTS],
  },
  {
    name: "dense matrices are missing from the total of loading",
    file: "native/src/backend/cpu/cpu_backend.cc",
    find: "    progress.expect(dense_bytes);\n",
    replace: "",
    tests: ["progress of loading counts routed experts and dense matrices"],
  },
  {
    name: "a plan forgets the groups of the attention output",
    file: PACKED_DENSE,
    find: "        add(layer[DS4_TENSOR_ATTN_OUTPUT_A], model.shape().o_groups);\n",
    replace: "",
    tests: ["progress of loading counts routed experts and dense matrices"],
  },
  {
    name: "zeros in the place of lost bytes are loaded from a shard",
    file: "native/kt_bridge/experts/loading/memory_source.cc",
    find: "machine::lost_file_at(bytes)",
    replace: "machine::lost_file_at(nullptr)",
    tests: ["matrices in a mapped shard that becomes shorter"],
  },
]
