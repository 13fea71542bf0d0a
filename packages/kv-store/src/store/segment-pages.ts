import type { ReadBuffer } from "../files/buffer-pool.ts"
import type { InputFile } from "../files/file-system.ts"
import { fileHeadOf, sectionIn } from "../format/file-head.ts"
import { segmentKey } from "../format/keys.ts"
import { hexOf, PAGE_ID_BYTES } from "../format/layout.ts"
import type { Segment } from "../index/catalog.ts"
import { damaged } from "../kv-store-error.ts"
import { guarded } from "./guarded.ts"
import { segmentName, type StoreContext } from "./store-context.ts"

/** The rows of a page. Its token ids are those that its key names. */
function pageIn(store: StoreContext, segment: Segment, file: Uint8Array): Uint8Array {
  const page = sectionIn(fileHeadOf(file, "segment"), "page")
  if (page.length < PAGE_ID_BYTES)
    throw damaged(`has a page of ${page.length} bytes, too few for its ids`)
  const previous =
    segment.previous === undefined ? store.root : Uint8Array.fromHex(segment.previous)
  if (hexOf(segmentKey(previous, page.subarray(0, PAGE_ID_BYTES))) !== segment.key)
    throw damaged("holds other token ids than its key names")
  return page
}

/** A segment's file on its way into memory. Errors wait until its bytes are asked for. */
class SegmentLoad {
  private readonly file: Promise<InputFile>
  private reading: Promise<Uint8Array> | undefined
  private closing: Promise<void> | undefined

  /** Opens it. */
  constructor(
    store: StoreContext,
    readonly segment: Segment,
  ) {
    this.file = store.files.open(segmentName(segment.key))
    this.file.catch(() => undefined)
  }

  /** Returns when the read has been handed to another thread. */
  async begin(buffer: ReadBuffer): Promise<void> {
    const file = await this.file.catch(() => undefined)
    if (file === undefined) return
    this.reading = this.read(file, buffer)
    this.reading.catch(() => undefined)
  }

  /** The size is that of a file which was there when the index was made. */
  private async read(file: InputFile, buffer: ReadBuffer): Promise<Uint8Array> {
    const length = this.segment.bytes ?? 0
    if (file.bytes !== length) throw damaged(`has ${file.bytes} bytes, and had ${length} before`)
    if (buffer.bytes.length < length) buffer.bytes = new Uint8Array(length)
    const bytes = buffer.bytes.subarray(0, length)
    if ((await file.read(bytes, 0)) !== length) throw damaged("ends while it is read")
    return bytes
  }

  /** The whole file, after `begin`. */
  async bytes(): Promise<Uint8Array> {
    await this.file
    return (await this.reading) ?? new Uint8Array(0)
  }

  /** Waits for the read, because its buffer is used again. Idempotent. */
  async close(): Promise<void> {
    await this.reading?.catch(() => undefined)
    const file = await this.file.catch(() => undefined)
    this.closing ??= file?.close()
    await this.closing
  }
}

/**
 * Pages in order, each valid until the next is asked for. While one is checked and taken, the next
 * one's file is read and the one after it is opened.
 *
 * @throws KvStoreError DAMAGED, MISSING
 */
export async function* segmentPages(
  store: StoreContext,
  chain: readonly Segment[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const buffers = [store.buffers.take(), store.buffers.take()] as const
  const loads: SegmentLoad[] = []
  const open = (index: number): void => {
    const segment = chain[index]
    if (segment !== undefined) loads.push(new SegmentLoad(store, segment))
  }
  open(0)
  open(1)
  await loads[0]?.begin(buffers[0])
  try {
    for (const [index, segment] of chain.entries()) {
      yield await guarded(store, segment, async () => {
        const bytes = await loads[index]?.bytes()
        open(index + 2)
        await loads[index + 1]?.begin(index % 2 === 0 ? buffers[1] : buffers[0])
        return pageIn(store, segment, bytes ?? new Uint8Array(0))
      })
      await loads[index]?.close()
    }
  } finally {
    for (const load of loads) await load.close()
    for (const buffer of buffers) store.buffers.give(buffer)
  }
}
