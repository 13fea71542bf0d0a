import { breath } from "../breath.ts"
import type { InputFile } from "../files/file-system.ts"
import { readSnapshotHeader } from "../format/compatibility.ts"
import { readFileHead, readSection, sectionOf, type FileHead } from "../format/file-head.ts"
import { segmentKey } from "../format/keys.ts"
import { bytesOfIds, equalBytes, hexOf, PAGE_ID_BYTES, PAGE_TOKENS } from "../format/layout.ts"
import type { Checkpoint, Segment } from "../index/catalog.ts"
import { damaged, KvStoreError, systemCode } from "../kv-store-error.ts"
import { decompressed } from "./compression.ts"
import { note } from "./note.ts"
import { quarantineCheckpoint, quarantineSegment } from "./quarantine.ts"
import { checkpointName, segmentName, type StoreContext } from "./store-context.ts"

/** Bytes that are given at once, so that who takes them keeps the thread for milliseconds only. */
const CHUNK_BYTES = 2 ** 22

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    yield bytes.subarray(at, at + CHUNK_BYTES)
    await breath()
  }
}

/** Runs `work` on a file; its damage moves the file away, its absence drops it from the index. */
async function withFile<T>(
  store: StoreContext,
  owner: Checkpoint | Segment,
  buffer: Uint8Array | undefined,
  work: (file: InputFile, head: FileHead) => Promise<T>,
): Promise<T> {
  const isSegment = "key" in owner
  const key = isSegment ? owner.key : owner.head.key
  const name = isSegment ? segmentName(key) : checkpointName(key)
  try {
    const file = await store.files.open(name)
    try {
      return await work(
        file,
        await readFileHead(file, isSegment ? "segment" : "checkpoint", buffer),
      )
    } finally {
      await file.close()
    }
  } catch (error) {
    const code = systemCode(error)
    const isDamage = error instanceof KvStoreError && error.code === "DAMAGED"
    if (!isDamage && code === undefined) throw error
    if (!isDamage && code !== "EIO") {
      if (isSegment) store.catalog.loseSegment(key)
      else store.catalog.removeCheckpoint(key)
      const reason = code === "ENOENT" ? "is gone: another process removed it" : `gives ${code}`
      throw new KvStoreError("MISSING", `${name} ${reason}`)
    }
    const problem = isDamage ? error.message : "gives EIO"
    await (isSegment ? quarantineSegment : quarantineCheckpoint)(store, key, problem)
    throw new KvStoreError("DAMAGED", `${name} ${problem}`, { cause: error })
  }
}

/** The rows of a page. Its token ids are those that its key names. */
async function readSegment(
  store: StoreContext,
  segment: Segment,
  buffer: { bytes: Uint8Array },
): Promise<Uint8Array> {
  // The whole file in one read: its size is that of a file which was there.
  const fileBytes = segment.bytes ?? 0
  if (buffer.bytes.length < fileBytes) buffer.bytes = new Uint8Array(fileBytes)
  return withFile(store, segment, buffer.bytes, async (file, head) => {
    const { length } = sectionOf(head, "page")
    if (length < PAGE_ID_BYTES) throw damaged(`has a page of ${length} bytes, too few for its ids`)
    const page = await readSection(file, head, "page")
    const previous =
      segment.previous === undefined ? store.root : Uint8Array.fromHex(segment.previous)
    if (hexOf(segmentKey(previous, page.subarray(0, PAGE_ID_BYTES))) !== segment.key)
      throw damaged("holds other token ids than its key names")
    return page
  })
}

/** Pages that are read while one is taken. */
const AHEAD = 2

/** Pages in order. */
async function* pagesOf(
  store: StoreContext,
  chain: readonly Segment[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const buffers = Array.from({ length: AHEAD + 1 }, () => ({ bytes: new Uint8Array(0) }))
  const reading: Promise<Uint8Array>[] = []
  const begin = (index: number): void => {
    const [segment, buffer] = [chain[index], buffers[index % buffers.length]]
    if (segment === undefined || buffer === undefined) return
    const page = readSegment(store, segment, buffer)
    page.catch(() => undefined) // whoever awaits it sees the error
    reading.push(page)
  }
  for (let index = 0; index < AHEAD; index++) begin(index)
  try {
    for (let index = 0; index < chain.length; index++) {
      const page = await reading.shift()
      begin(index + AHEAD)
      if (page !== undefined) yield page
    }
  } finally {
    await Promise.allSettled(reading)
  }
}

/** A checkpoint's own large sections, checked. */
interface Opened {
  readonly header: Uint8Array
  readonly lastPage: Uint8Array | undefined
  readonly recentRows: Uint8Array
  readonly shownRest: Uint8Array
}

async function openCheckpoint(store: StoreContext, checkpoint: Checkpoint): Promise<Opened> {
  return withFile(store, checkpoint, undefined, async (file, head) => {
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
    for await (const page of pagesOf(store, chain)) {
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
  return withFile(store, checkpoint, undefined, async (file, head) =>
    head.sections.has(name) ? decompressed(await readSection(file, head, name)) : undefined,
  )
}
