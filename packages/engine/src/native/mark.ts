import type { Pointer } from "bun:ffi"
import { EngineError } from "../errors.ts"
import { engineLibrary } from "../library.ts"
import { openPointer, OutHandle, type OpenObject } from "./handle.ts"

/**
 * The state of a session at one position, for good. It shares the memory of pages with its session
 * and with those that start from it. Only the rows of recent tokens are its own.
 */
export class MarkHandle implements Disposable {
  constructor(private handle: Pointer | undefined) {}

  /**
   * Reads a snapshot as its bytes come, cut anywhere; never holds more than a region and a chunk.
   *
   * @throws EngineError FORMAT for bytes that are damaged, or of another model or numerics;
   *   CONTEXT_FULL for more tokens than the model takes; DEVICE_MEMORY
   */
  static async import(
    engine: OpenObject,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<MarkHandle> {
    const { symbols, check } = engineLibrary()
    const out = new OutHandle()
    check("ds4_mark_import_open", symbols.ds4_mark_import_open(engine.pointer, out.memory))
    const reading = out.pointer
    try {
      for await (const chunk of chunks)
        if (chunk.length > 0)
          check(
            "ds4_mark_import_write",
            symbols.ds4_mark_import_write(reading, chunk, BigInt(chunk.length)),
          )
      const mark = new OutHandle()
      check("ds4_mark_import_finish", symbols.ds4_mark_import_finish(reading, mark.memory))
      return new MarkHandle(mark.pointer)
    } finally {
      symbols.ds4_mark_import_close(reading)
    }
  }

  get pointer(): Pointer {
    return openPointer(this.handle, "mark")
  }

  /** Tokens before the mark. */
  get position(): number {
    return engineLibrary().symbols.ds4_mark_position(this.pointer)
  }

  /** Host bytes that it holds, those of shared pages included. */
  get bytes(): number {
    return Number(engineLibrary().symbols.ds4_mark_bytes(this.pointer))
  }

  /** Closing it would free so many of these now: nobody else holds them. */
  get ownBytes(): number {
    return Number(engineLibrary().symbols.ds4_mark_own_bytes(this.pointer))
  }

  /** Ids of the tokens before the mark. */
  get tokens(): Int32Array {
    const { symbols, check } = engineLibrary()
    const tokens = new Int32Array(Math.max(1, this.position))
    check("ds4_mark_tokens", symbols.ds4_mark_tokens(this.pointer, tokens, BigInt(tokens.length)))
    return tokens.subarray(0, this.position)
  }

  /** Another handle of the same mark, to be closed by itself. */
  share(): MarkHandle {
    const { symbols, check } = engineLibrary()
    const out = new OutHandle()
    check("ds4_mark_share", symbols.ds4_mark_share(this.pointer, out.memory))
    return new MarkHandle(out.pointer)
  }

  /** Bytes of each region of its snapshot, in order. Their sum is the size of the snapshot. */
  get regionBytes(): number[] {
    const { symbols } = engineLibrary()
    return Array.from({ length: symbols.ds4_mark_region_count(this.pointer) }, (_, region) =>
      Number(symbols.ds4_mark_region_bytes(this.pointer, region)),
    )
  }

  /**
   * One region of its snapshot: a header, pages of 2,048 tokens, the recent rows. A whole page has
   * the same bytes in every snapshot that begins with the same tokens.
   *
   * @throws EngineError ARGUMENT for a number past the last region
   */
  readRegion(region: number): Uint8Array {
    const { symbols, check } = engineLibrary()
    const needed = Number(symbols.ds4_mark_region_bytes(this.pointer, region))
    if (needed === 0)
      throw new EngineError(
        "ARGUMENT",
        `region ${region} of ${symbols.ds4_mark_region_count(this.pointer)}`,
      )
    const bytes = new Uint8Array(needed)
    const written = new BigUint64Array(1)
    check(
      "ds4_mark_read_region",
      symbols.ds4_mark_read_region(this.pointer, region, bytes, BigInt(needed), written),
    )
    return bytes
  }

  /** The regions one after another: the whole snapshot. Sessions may go on in between. */
  *regions(): Generator<Uint8Array, void, undefined> {
    for (let region = 0; region < this.regionBytes.length; region++) yield this.readRegion(region)
  }

  /** Idempotent. Sessions that started from it stay as they are. */
  close(): void {
    if (this.handle === undefined) return
    engineLibrary().symbols.ds4_mark_close(this.handle)
    this.handle = undefined
  }
  [Symbol.dispose](): void {
    this.close()
  }
}
