import { readFileHead, sectionOf } from "../format/file-head.ts"
import { idsOfBytes, PAGE_TOKENS } from "../format/layout.ts"
import { isExact, type Checkpoint } from "../index/catalog.ts"
import { checkpointName, segmentName, type StoreContext } from "./store-context.ts"

/** Where a prompt leaves the checkpoint that it agrees with for longest. */
export interface Divergence {
  readonly key: string
  /** Tokens that both begin with. */
  readonly common: number
  /** Tokens of the checkpoint. */
  readonly tokens: number
  /** The checkpoint's ids from `common` on, some of them; none when the prompt continues it. */
  readonly stored: Int32Array
  /** The prompt's ids from `common` on, as many at most. */
  readonly prompted: Int32Array
  /** Whether it holds exactly the ids that it shows. */
  readonly isExact: boolean
}

const MOST_CANDIDATES = 8
/** Ids that are given of each side. */
const MOST_IDS = 16

/** Ids of a section from one number on. They are for people to read, so no checksum is needed. */
async function idsIn(
  store: StoreContext,
  name: string,
  section: "page" | "shownIds" | "lastPage",
  [first, count]: readonly [number, number],
): Promise<Int32Array> {
  const file = await store.files.open(name)
  try {
    const head = await readFileHead(file, section === "page" ? "segment" : "checkpoint")
    const { offset, length } = sectionOf(head, section)
    const bytes = new Uint8Array(4 * Math.min(count, PAGE_TOKENS, Math.floor(length / 4) - first))
    const got = await file.read(bytes, offset + 4 * first)
    return idsOfBytes(bytes.subarray(0, got))
  } finally {
    await file.close()
  }
}

/** Shown ids from `begin` to `end`, which lie in one block of 2,048. */
async function shownIds(
  store: StoreContext,
  { head, chain }: Checkpoint,
  begin: number,
  end: number,
): Promise<Int32Array> {
  const tailBegin = head.tokens - head.tail.length
  if (begin >= tailBegin) return head.tail.subarray(begin - tailBegin, end - tailBegin)
  const ids = new Int32Array(end - begin)
  const heldEnd = Math.min(end, head.common)
  if (begin < heldEnd) {
    const block = Math.floor(begin / PAGE_TOKENS)
    const segment = chain[block]
    const place = [begin - block * PAGE_TOKENS, heldEnd - begin] as const
    const held = await (segment === undefined
      ? idsIn(store, checkpointName(head.key), "lastPage", place)
      : idsIn(store, segmentName(segment.key), "page", place))
    ids.set(held)
  }
  const from = Math.max(begin, head.common)
  if (from < end) {
    const place = [from - head.common, end - from] as const
    ids.set(await idsIn(store, checkpointName(head.key), "shownIds", place), from - begin)
  }
  return ids
}

/** Continues a comparison that agrees in `common` ids, to the end of the block at most. */
async function diverge(
  store: StoreContext,
  checkpoint: Checkpoint,
  prompt: Int32Array,
  common: number,
): Promise<Divergence> {
  const { key, tokens } = checkpoint.head
  const blockEnd = (Math.floor(common / PAGE_TOKENS) + 1) * PAGE_TOKENS
  const ids = await shownIds(store, checkpoint, common, Math.min(tokens, blockEnd))
  let more = 0
  while (more < ids.length && ids[more] === prompt[common + more]) more++
  const at = common + more
  return {
    key,
    tokens,
    common: at,
    stored: ids.slice(more, more + MOST_IDS),
    prompted: prompt.slice(at, at + MOST_IDS),
    isExact: isExact(checkpoint),
  }
}

/** @returns undefined where no checkpoint has even the first token in common */
export async function explainMiss(
  store: StoreContext,
  prompt: Int32Array,
): Promise<Divergence | undefined> {
  let best: Divergence | undefined
  for (const { value, common } of store.catalog.nearest(prompt, MOST_CANDIDATES)) {
    const found = await diverge(store, value, prompt, common)
    if (found.common > (best?.common ?? 0)) best = found
  }
  return best
}
