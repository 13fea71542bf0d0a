import { breath } from "../breath.ts"
import type { InputFile } from "../files/file-system.ts"
import { readSnapshotHeader } from "../format/compatibility.ts"
import { readFileHead, readSection, type FileHead } from "../format/file-head.ts"
import { bytesOfIds, equalBytes, idsOfBytes, PAGE_ID_BYTES, PAGE_TOKENS } from "../format/layout.ts"
import { isExact, type Checkpoint } from "../index/catalog.ts"
import { damaged, KvStoreError } from "../kv-store-error.ts"
import { decompressed } from "./compression.ts"
import { guarded } from "./guarded.ts"
import { note } from "./note.ts"
import { segmentPages } from "./segment-pages.ts"
import type { StoreContext } from "./store-context.ts"

/** Bytes that are given at once, so that who takes them keeps the thread for milliseconds only. */
const CHUNK_BYTES = 2 ** 22

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    yield bytes.subarray(at, at + CHUNK_BYTES)
    await breath()
  }
}

const withCheckpoint = <T>(
  store: StoreContext,
  checkpoint: Checkpoint,
  work: (file: InputFile, head: FileHead) => Promise<T>,
): Promise<T> =>
  guarded(store, checkpoint, async (name) => {
    const file = await store.files.open(name)
    try {
      return await work(file, await readFileHead(file, "checkpoint"))
    } finally {
      await file.close()
    }
  })

/** A checkpoint's own large sections, checked. */
interface Opened {
  readonly header: Uint8Array
  readonly lastPage: Uint8Array | undefined
  readonly recentRows: Uint8Array
  readonly shownRest: Uint8Array
}

async function openCheckpoint(store: StoreContext, checkpoint: Checkpoint): Promise<Opened> {
  return withCheckpoint(store, checkpoint, async (file, head) => {
    if (head.key !== checkpoint.head.key) throw damaged(`says that its key is ${head.key}`)
    const header = await readSection(file, head, "header")
    const { position } = checkpoint.head
    const tail = position % PAGE_TOKENS
    const lastPage = tail === 0 ? undefined : await readSection(file, head, "lastPage")
    if (lastPage !== undefined && lastPage.length < 4 * tail)
      throw damaged(`has a last page of ${lastPage.length} bytes, too few for ${tail} ids`)
    const recentRows = await readSection(file, head, "recentRows")
    const shownRest = await readSection(file, head, "shownIds")
    const snapshot = readSnapshotHeader(header)
    const { model, numerics } = store.compatibility
    if (snapshot.model !== model || snapshot.numerics !== numerics)
      throw new KvStoreError("INCOMPATIBLE", "the checkpoint is of another model or numerics")
    if (snapshot.tokens !== position)
      throw damaged(`has a state of ${snapshot.tokens} tokens and says ${position}`)
    return { header, lastPage, recentRows, shownRest }
  })
}

/** Compares ids that are held and shown alike, and those that are only shown, with a prompt. */
class PromptCheck {
  private readonly prompt: Uint8Array | undefined
  constructor(
    private readonly checkpoint: Checkpoint,
    prompt: Int32Array | undefined,
  ) {
    this.prompt = prompt && bytesOfIds(prompt)
  }

  /** @param position of the first of these ids */
  compare(ids: Uint8Array, position: number, end: number): void {
    if (this.prompt === undefined) return
    const length = 4 * Math.max(0, Math.min(end - position, ids.length / 4))
    const wanted = this.prompt.subarray(4 * position, 4 * position + length)
    if (!equalBytes(ids.subarray(0, length), wanted))
      throw new KvStoreError(
        "MISMATCH",
        `checkpoint ${this.checkpoint.head.key} shows other tokens than the prompt at ${position}`,
      )
  }

  compareHeld(ids: Uint8Array, position: number): void {
    this.compare(ids, position, this.checkpoint.head.common)
  }
}

export interface ReadOptions {
  /** The prompt whose beginning it is. Given, every id is compared with it. */
  readonly prompt?: Int32Array
}

/**
 * The snapshot in chunks for `MarkHandle.import`. A chunk is whole and checked, and valid until
 * the next one is asked for. The folder stays locked for reading until the last.
 *
 * @throws KvStoreError DAMAGED, MISSING, MISMATCH, INCOMPATIBLE: the checkpoint left the index,
 *   take the next shorter one; LOCKED
 */
export async function* readCheckpoint(
  store: StoreContext,
  checkpoint: Checkpoint,
  { prompt }: ReadOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { head, chain, pins } = checkpoint
  using lock = await store.lock.acquire("read", store.lockWaitMs)
  if (lock === undefined)
    throw new KvStoreError("LOCKED", `another process kept the folder for ${store.lockWaitMs} ms`)
  pins.count++
  try {
    const own = await openCheckpoint(store, checkpoint)
    const check = new PromptCheck(checkpoint, prompt)
    check.compare(own.shownRest, head.common, head.tokens)
    yield own.header
    let position = 0
    for await (const page of segmentPages(store, chain)) {
      check.compareHeld(page.subarray(0, PAGE_ID_BYTES), position)
      position += PAGE_TOKENS
      yield* chunksOf(page)
      store.counts.bytesRead += page.length
    }
    if (own.lastPage !== undefined) {
      check.compareHeld(own.lastPage.subarray(0, 4 * (head.position - position)), position)
      yield* chunksOf(own.lastPage)
    }
    yield* chunksOf(own.recentRows)
    store.counts.bytesRead += own.recentRows.length + (own.lastPage?.length ?? 0)
    await countUse(store, checkpoint)
  } catch (error) {
    // Its bytes are sound, so the file stays; but a lookup would find it again.
    if (error instanceof KvStoreError && ["MISMATCH", "INCOMPATIBLE"].includes(error.code))
      store.catalog.removeCheckpoint(head.key)
    throw error
  } finally {
    pins.count--
  }
}

async function countUse(store: StoreContext, { head, uses }: Checkpoint): Promise<void> {
  store.counts.loads++
  uses.add(store.now())
  await note(store, "use", head.key)
}

/** A compressed section of a checkpoint; undefined when it was saved without one. */
export async function readExtra(
  store: StoreContext,
  checkpoint: Checkpoint,
  name: "text" | "attachment",
): Promise<Uint8Array | undefined> {
  return withCheckpoint(store, checkpoint, async (file, head) =>
    head.sections.has(name) ? decompressed(await readSection(file, head, name)) : undefined,
  )
}

/** The ids by which prompts show a checkpoint. `held`: those of its state. */
export async function readShown(
  store: StoreContext,
  checkpoint: Checkpoint,
  held: Int32Array,
): Promise<Int32Array> {
  const { common, tokens } = checkpoint.head
  if (isExact(checkpoint)) return held
  return withCheckpoint(store, checkpoint, async (file, head) => {
    const shown = new Int32Array(tokens)
    shown.set(held.subarray(0, common))
    shown.set(idsOfBytes(await readSection(file, head, "shownIds")), common)
    return shown
  })
}
