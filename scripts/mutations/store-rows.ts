// Faults of the KV store on disk: order of writes, locks, checks of files, eviction, look-ups.
import type { Mutation } from "./mutation.ts"

const SOURCE = "packages/kv-store/src"
const STORE = `${SOURCE}/store`
const DAMAGE = `${STORE}/damage.test.ts`
const EVICTION = `${STORE}/eviction.test.ts`

export const STORE_ROWS: readonly Mutation[] = [
  {
    name: "a file gets its name before its content lies on the disk",
    file: `${SOURCE}/files/publish.ts`,
    find: "      await file.sync()\n",
    replace: "",
    tests: [`${STORE}/power-loss.test.ts`],
  },
  {
    name: "a checkpoint is published before its segments' names last",
    file: `${STORE}/save-checkpoint.ts`,
    find: "if (segments.length > 0) await store.files.syncFolder(SEGMENTS)",
    replace: "",
    tests: [`${STORE}/power-loss.test.ts`],
  },
  {
    name: "a save is told before the name of its checkpoint lasts",
    file: `${STORE}/save-checkpoint.ts`,
    find: "  await store.files.syncFolder(CHECKPOINTS)\n",
    replace: "",
    tests: [`${STORE}/power-loss.test.ts`],
  },
  {
    name: "a save lets go of the lock when it begins",
    file: `${STORE}/save-checkpoint.ts`,
    find: "return await write(store, plan)",
    replace: "return write(store, plan)",
    tests: [`${STORE}/locking.test.ts`],
  },
  {
    name: "commands let go of the lock when they begin",
    file: `${STORE}/kv-store.ts`,
    find: "return await work(store)",
    replace: "return work(store)",
    tests: [`${STORE}/locking.test.ts`],
  },
  {
    name: "a failed save leaves its temporary file",
    file: `${SOURCE}/files/publish.ts`,
    find: "    await files.remove(temporary).catch(() => undefined)\n",
    replace: "",
    tests: [`${STORE}/full-disk.test.ts`],
  },
  {
    name: "saving goes on while the disk fails",
    file: `${STORE}/save-queue.ts`,
    find: "this.pauseEnd = this.store.now() + PAUSE_MS",
    replace: "this.pauseEnd = this.store.now()",
    tests: [`${STORE}/full-disk.test.ts`],
  },
  {
    name: "a section's checksum is not compared",
    file: `${SOURCE}/format/file-head.ts`,
    find: "if (checksumOf(bytes) === checksum)",
    replace: "if (checksum !== 0n)",
    tests: [DAMAGE],
  },
  {
    name: "a page of other token ids is taken",
    file: `${STORE}/segment-pages.ts`,
    find: "PAGE_ID_BYTES))) !== segment.key)",
    replace: "PAGE_ID_BYTES))) === '')",
    tests: [DAMAGE],
  },
  {
    name: "sections may lie behind the end of the file",
    file: `${SOURCE}/format/file-head.ts`,
    find: "offset + length > BigInt(end)",
    replace: "offset > BigInt(end)",
    tests: [DAMAGE],
  },
  {
    name: "a checkpoint without its segments is listed",
    file: `${SOURCE}/index/catalog.ts`,
    find: "    if (missing === 0) this.list(checkpoint)",
    replace: "    this.list(checkpoint)",
    tests: [DAMAGE],
  },
  {
    name: "ids of a read are not compared with the prompt's",
    file: `${STORE}/read-checkpoint.ts`,
    find: "    if (!equalBytes(ids.subarray(0, length), wanted))",
    replace: "    if (ids.length < 0)",
    tests: [`${STORE}/kv-store.test.ts`],
  },
  {
    name: "the buffer of a page is used again while the page is taken",
    file: `${STORE}/segment-pages.ts`,
    find: "index % 2 === 0 ? buffers[1] : buffers[0]",
    replace: "buffers[0]",
    tests: [`${STORE}/read-checkpoint.test.ts`],
  },
  {
    name: "another model's checkpoint is found",
    file: `${SOURCE}/index/catalog.ts`,
    find: "=== this.compatibility)\n      this.prefixes.insert",
    replace: "!== 0n)\n      this.prefixes.insert",
    tests: [`${STORE}/kv-store.test.ts`],
  },
  {
    name: "labelled checkpoints go like others",
    file: `${STORE}/eviction.ts`,
    find: "head.info.label !== undefined || pins",
    replace: "pins",
    tests: [EVICTION],
  },
  {
    name: "a clock that goes back raises uses",
    file: `${SOURCE}/index/use-count.ts`,
    find: "-Math.max(0, now - this.last)",
    replace: "-(now - this.last)",
    tests: [EVICTION],
  },
  {
    name: "segments that others need count as freed",
    file: `${STORE}/eviction.ts`,
    find: "users.size > 1",
    replace: "users.size > 9",
    tests: [EVICTION],
  },
  {
    name: "a value stays when the checkpoint below goes",
    file: `${STORE}/eviction.ts`,
    find: "if (ancestor?.missing === 0) most = tokens",
    replace: "most = Math.max(most, tokens)",
    tests: [EVICTION],
  },
  {
    name: "a list that ends within an edge is found",
    file: `${SOURCE}/index/tail-tree.ts`,
    find: "if (node === undefined || commonLength(node.edge, ids, at) < node.edge.length)",
    replace: "if (node === undefined)",
    tests: [`${SOURCE}/index/prefix-index.test.ts`],
  },
]
