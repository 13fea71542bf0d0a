import { KvStoreError } from "../kv-store-error.ts"
import { compatibilityPrefix, readSnapshotHeader } from "../format/compatibility.ts"
import {
  headSections,
  MOST_ANCESTORS,
  type Ancestor,
  type CheckpointFacts,
  type CheckpointInfo,
} from "../format/checkpoint-head.ts"
import { checkpointKey, segmentChain, shownHashes } from "../format/keys.ts"
import {
  bytesOfIds,
  equalBytes,
  hexOf,
  KEY_BYTES,
  PAGE_ID_BYTES,
  PAGE_TOKENS,
} from "../format/layout.ts"
import {
  sectionOfBytes,
  storeFileBytes,
  type FileIdentity,
  type SectionSource,
} from "../format/write-store-file.ts"
import { compressed } from "./compression.ts"
import type { StoreContext } from "./store-context.ts"

/** A state at one position, as the engine's marks give it: docs/formats/snapshot.md. */
export interface StateSource {
  /** Tokens that it holds. */
  readonly position: number
  /** Bytes of each region: a header, pages of 2,048 tokens, the recent rows. */
  readonly regionBytes: readonly number[]
  readRegion(region: number): Uint8Array
}

export interface SaveRequest {
  /** Token ids by which prompts show the conversation. */
  readonly shown: Int32Array
  /** Token ids that the state holds, where they differ. */
  readonly held?: Int32Array
  readonly reason: string
  readonly label?: string
  readonly model?: string
  /** A few words of the conversation, for lists. */
  readonly preview?: string
  /** The rendered text. */
  readonly text?: string
  /** Whatever else the caller wants back with the checkpoint. */
  readonly attachment?: Uint8Array
}

/** A file of the store before it is written. */
export interface PlannedFile {
  readonly identity: FileIdentity
  readonly sections: readonly SectionSource[]
  readonly bytes: number
}

export interface SavePlan {
  readonly key: string
  readonly segments: readonly (PlannedFile & { readonly key: string })[]
  /** Made when the segments are there: it names the checkpoints that it extends. */
  readonly checkpoint: PlannedFile
}

function commonLength(a: Int32Array, b: Int32Array): number {
  const end = Math.min(a.length, b.length)
  let length = 0
  while (length < end && a[length] === b[length]) length++
  return length
}

/** A state whose sizes were asked for once. */
class FixedSizes implements StateSource {
  readonly position: number
  readonly regionBytes: readonly number[]
  constructor(private readonly source: StateSource) {
    this.position = source.position
    this.regionBytes = source.regionBytes
  }
  readRegion(region: number): Uint8Array {
    return this.source.readRegion(region)
  }
}

function checkState(store: StoreContext, state: StateSource, held: Int32Array): void {
  const refuse = (message: string): never => {
    throw new KvStoreError("ARGUMENT", message)
  }
  if (held.length !== state.position)
    refuse(`the state holds ${state.position} tokens, ${held.length} ids were given`)
  const regions = Math.ceil(held.length / PAGE_TOKENS) + 2
  if (state.regionBytes.length !== regions)
    refuse(`the state has ${state.regionBytes.length} regions, its tokens need ${regions}`)
  const header = readSnapshotHeader(state.readRegion(0))
  if (header.tokens !== held.length)
    refuse(`the state's header says ${header.tokens} tokens, its position ${held.length}`)
  const { model, numerics } = store.compatibility
  if (header.model !== model || header.numerics !== numerics)
    throw new KvStoreError("INCOMPATIBLE", "the state is of another model or other numerics")
}

/** Region `index`, whose token ids must be those that were given. */
function pageSource(
  state: StateSource,
  index: number,
  ids: Uint8Array,
  name: "page" | "lastPage",
): SectionSource {
  const read = (): Uint8Array => {
    const region = state.readRegion(index)
    if (!equalBytes(region.subarray(0, ids.length), ids))
      throw new KvStoreError("ARGUMENT", `page ${index - 1} holds other token ids than were given`)
    return region
  }
  return { name, length: state.regionBytes[index] ?? 0, isAligned: true, read }
}

const regionSource = (
  state: StateSource,
  index: number,
  name: "header" | "recentRows",
): SectionSource => ({
  name,
  length: state.regionBytes[index] ?? 0,
  isAligned: true,
  read: () => state.readRegion(index),
})

/** Checkpoints that the shown ids begin with, and not all of them; longest first. */
function ancestorsOf(store: StoreContext, shown: Int32Array): Ancestor[] {
  return [...store.catalog.prefixesOf(shown)]
    .map(({ head }) => ({ tokens: head.tokens, key: head.key }))
    .filter(({ tokens }) => tokens < shown.length)
    .slice(0, MOST_ANCESTORS)
}

async function extraSections(request: SaveRequest): Promise<SectionSource[]> {
  const { text, attachment } = request
  const sections: SectionSource[] = []
  if (text !== undefined)
    sections.push(sectionOfBytes("text", await compressed(Buffer.from(text)), { isOptional: true }))
  if (attachment !== undefined)
    sections.push(sectionOfBytes("attachment", await compressed(attachment), { isOptional: true }))
  return sections
}

/** Texts that a head may hold; longer ones are cut. */
const MOST_CHARACTERS = 1000

function infoOf({ reason, label, model, preview }: SaveRequest): CheckpointInfo {
  const cut = (text: string): string => text.slice(0, MOST_CHARACTERS)
  return {
    reason: cut(reason),
    ...(label !== undefined && { label: cut(label) }),
    ...(model !== undefined && { model: cut(model) }),
    ...(preview !== undefined && { preview: cut(preview) }),
  }
}

/**
 * The files of a checkpoint. Nothing is read from the state but its header.
 *
 * @throws KvStoreError ARGUMENT, INCOMPATIBLE
 */
export async function planSave(
  store: StoreContext,
  source: StateSource,
  request: SaveRequest,
): Promise<SavePlan> {
  const { shown, held = shown } = request
  if (shown.length === 0)
    throw new KvStoreError("ARGUMENT", "a checkpoint of no tokens cannot be found again")
  // A mark asks the engine for its sizes each time.
  const state = new FixedSizes(source)
  checkState(store, state, held)
  const { root } = store
  const compatibility = compatibilityPrefix(root)
  const chain = await segmentChain(root, held)
  const heldBytes = bytesOfIds(held)
  const common = held === shown ? held.length : commonLength(shown, held)
  const shownRest = bytesOfIds(shown.subarray(common))
  const pages = chain.length / KEY_BYTES
  const heldTail = heldBytes.subarray(pages * PAGE_ID_BYTES)
  const key = checkpointKey({ root, chain, heldTail, common, shownRest })
  const segments = Array.from({ length: pages }, (_, page) => {
    const segmentKey = chain.subarray(page * KEY_BYTES, (page + 1) * KEY_BYTES)
    const ids = heldBytes.subarray(page * PAGE_ID_BYTES, (page + 1) * PAGE_ID_BYTES)
    const sections = [pageSource(state, page + 1, ids, "page")]
    return {
      key: hexOf(segmentKey),
      identity: { kind: "segment", compatibility, key: segmentKey } as const,
      sections,
      bytes: storeFileBytes(sections),
    }
  })
  const facts: CheckpointFacts = {
    position: held.length,
    tokens: shown.length,
    common,
    created: store.now(),
    chain: segments.map((segment) => segment.key),
    hashes: shownHashes(shown),
    tail: shown.subarray(shown.length - (shown.length % PAGE_TOKENS)),
    ancestors: ancestorsOf(store, shown),
    info: infoOf(request),
  }
  const sections = [
    ...headSections(facts),
    sectionOfBytes("shownIds", shownRest),
    ...(await extraSections(request)),
    regionSource(state, 0, "header"),
    ...(heldTail.length > 0 ? [pageSource(state, pages + 1, heldTail, "lastPage")] : []),
    regionSource(state, state.regionBytes.length - 1, "recentRows"),
  ]
  const identity = { kind: "checkpoint", compatibility, key } as const
  return {
    key: hexOf(key),
    segments,
    checkpoint: { identity, sections, bytes: storeFileBytes(sections) },
  }
}
