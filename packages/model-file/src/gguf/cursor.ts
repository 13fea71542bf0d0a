// Little-endian reading of a window at the start of a file. When the window ends inside a value,
// NeedMoreBytes says so; GgufHeaderReader then widens the window and reads the record again.
import { MAX_GGUF_HEADER_BYTES } from "../limits.ts"
import { ModelFileError } from "../model-file-error.ts"
import type { ByteSource } from "../byte-source.ts"

/** Not an error of the file: the window must reach at least `end`. */
class NeedMoreBytes extends Error {
  constructor(readonly end: number) {
    super("window too short")
  }
}

// ignoreBOM keeps a leading U+FEFF: a token may be one.
const LATIN1 = new TextDecoder("latin1")
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Reads values one after another from the window. */
export class Cursor {
  private view: DataView
  position = 0

  constructor(
    private window: Uint8Array,
    private readonly path: string,
  ) {
    this.view = viewOf(window)
  }

  /** Replaces the window by a longer one that starts with the same bytes. */
  widen(window: Uint8Array): void {
    this.window = window
    this.view = viewOf(window)
  }

  private take(bytes: number): number {
    const begin = this.position
    const end = begin + bytes
    if (end > this.window.length) throw new NeedMoreBytes(end)
    this.position = end
    return begin
  }

  u8(): number {
    return this.view.getUint8(this.take(1))
  }
  i8(): number {
    return this.view.getInt8(this.take(1))
  }
  u16(): number {
    return this.view.getUint16(this.take(2), true)
  }
  i16(): number {
    return this.view.getInt16(this.take(2), true)
  }
  u32(): number {
    return this.view.getUint32(this.take(4), true)
  }
  i32(): number {
    return this.view.getInt32(this.take(4), true)
  }
  f32(): number {
    return this.view.getFloat32(this.take(4), true)
  }
  f64(): number {
    return this.view.getFloat64(this.take(8), true)
  }
  u64(): bigint {
    return this.view.getBigUint64(this.take(8), true)
  }
  i64(): bigint {
    return this.view.getBigInt64(this.take(8), true)
  }

  /** A u64 that must be at most `limit`; `what` names it in the error. */
  count(limit: number, what: string): number {
    const value = this.u64()
    if (value > BigInt(limit))
      throw new ModelFileError("RANGE", `${what} is ${value}; the limit is ${limit}`, {
        path: this.path,
      })
    return Number(value)
  }

  /** A string as `text` reads it, of any bytes. */
  label(limit: number, what: string): string {
    const length = this.count(limit, `length of ${what}`)
    const begin = this.take(length)
    return readable(this.window.subarray(begin, begin + length))
  }

  /** A length-prefixed UTF-8 string of at most `limit` bytes. */
  text(limit: number, what: string): string {
    const length = this.count(limit, `length of ${what}`)
    const begin = this.take(length)
    try {
      return UTF8.decode(this.window.subarray(begin, begin + length))
    } catch (error) {
      throw new ModelFileError("FORMAT", `${what} at byte ${begin} is not UTF-8`, {
        path: this.path,
        cause: error,
      })
    }
  }
}

/** Text of a value that nothing depends on: what is not UTF-8 is read as Latin-1. */
function readable(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes)
  } catch {
    return LATIN1.decode(bytes)
  }
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const FIRST_WINDOW_BYTES = 2 ** 16

/** Reads records from the start of a file through a window that doubles when it must. */
export class GgufHeaderReader {
  private constructor(
    private readonly source: ByteSource,
    private readonly cursor: Cursor,
    private windowBytes: number,
  ) {}

  static async open(source: ByteSource): Promise<GgufHeaderReader> {
    const windowBytes = Math.min(FIRST_WINDOW_BYTES, source.bytes)
    return new GgufHeaderReader(
      source,
      new Cursor(await source.read(0, windowBytes), source.path),
      windowBytes,
    )
  }

  /** Bytes consumed so far. */
  get position(): number {
    return this.cursor.position
  }

  /**
   * One record. `parse` must have no effect besides its result: it runs again when the window was
   * too short.
   */
  async record<T>(what: string, parse: (cursor: Cursor) => T): Promise<T> {
    const begin = this.cursor.position
    for (;;) {
      try {
        return parse(this.cursor)
      } catch (error) {
        if (!(error instanceof NeedMoreBytes)) throw error
        await this.widen(error.end, what)
        this.cursor.position = begin
      }
    }
  }

  private async widen(needed: number, what: string): Promise<void> {
    const { bytes, path } = this.source
    if (needed > bytes)
      throw new ModelFileError(
        "FORMAT",
        `the file ends at byte ${bytes}, inside ${what} (needs at least ${needed})`,
        { path },
      )
    if (needed > MAX_GGUF_HEADER_BYTES)
      throw new ModelFileError(
        "RANGE",
        `${what} reaches byte ${needed}; the limit of a header is ${MAX_GGUF_HEADER_BYTES} bytes`,
        { path },
      )
    this.windowBytes = Math.min(
      bytes,
      MAX_GGUF_HEADER_BYTES,
      Math.max(needed, this.windowBytes * 2),
    )
    this.cursor.widen(await this.source.read(0, this.windowBytes))
  }
}
