import type { Pointer } from "bun:ffi"
import { EngineError } from "../errors.ts"
import { engineLibrary } from "../library.ts"
import { SESSION_OPTIONS } from "../symbols.ts"
import { openPointer, OutHandle, type OpenObject } from "./handle.ts"
import { MarkHandle } from "./mark.ts"

/** One sequence of an engine: its KV rows and its position. */
export class SessionHandle implements Disposable {
  private constructor(
    private handle: Pointer | undefined,
    readonly contextTokens: number,
  ) {}

  /**
   * @param mark where the session begins, sharing its pages; else at position 0
   * @throws EngineError ARGUMENT, also for a mark of another engine; CONTEXT_FULL for a mark past
   *   the context; DEVICE_MEMORY
   */
  static open(engine: OpenObject, contextTokens: number, mark?: MarkHandle): SessionHandle {
    const { symbols, check } = engineLibrary()
    const out = new OutHandle()
    check(
      "ds4_session_open",
      symbols.ds4_session_open(
        engine.pointer,
        SESSION_OPTIONS.create({ context_tokens: contextTokens, mark: mark?.pointer ?? 0 }),
        out.memory,
      ),
    )
    return new SessionHandle(out.pointer, contextTokens)
  }

  get pointer(): Pointer {
    return openPointer(this.handle, "session")
  }

  /** Tokens processed so far. */
  get position(): number {
    return engineLibrary().symbols.ds4_session_position(this.pointer)
  }

  /** Host bytes that it holds. A page that it shares with others counts in full. */
  get bytes(): number {
    return Number(engineLibrary().symbols.ds4_session_bytes(this.pointer))
  }

  /** Back to position 0. Not while a job has the session. */
  reset(): void {
    const { symbols, check } = engineLibrary()
    check("ds4_session_reset", symbols.ds4_session_reset(this.pointer))
  }

  /** The state between two steps, at which a running job does not stop. */
  mark(): MarkHandle {
    const { symbols, check } = engineLibrary()
    const out = new OutHandle()
    check("ds4_session_mark", symbols.ds4_session_mark(this.pointer, out.memory))
    return new MarkHandle(out.pointer)
  }

  /**
   * Back to a mark that it has passed with the same tokens. Not while a job has the session.
   *
   * @throws EngineError ARGUMENT for any other mark; the session keeps its state then
   */
  cut(mark: MarkHandle): void {
    const { symbols, check } = engineLibrary()
    check("ds4_session_cut", symbols.ds4_session_cut(this.pointer, mark.pointer))
  }

  /**
   * The whole state in one piece, to be restored into a session of the same model and numerics. A
   * mark gives the same bytes region by region.
   */
  snapshot(): Uint8Array {
    const { symbols, check } = engineLibrary()
    const needed = Number(symbols.ds4_session_snapshot_bytes(this.pointer))
    if (needed === 0) throw new EngineError("INTERNAL", "the session has no state to save")
    const bytes = new Uint8Array(needed)
    const written = new BigUint64Array(1)
    check(
      "ds4_session_snapshot",
      symbols.ds4_session_snapshot(this.pointer, bytes, BigInt(bytes.length), written),
    )
    return bytes.subarray(0, Number(written[0]))
  }

  /** @throws EngineError FORMAT; the session keeps its state then */
  restore(bytes: Uint8Array): void {
    if (bytes.length === 0)
      throw new EngineError("FORMAT", "a snapshot of 0 bytes is not a snapshot")
    const { symbols, check } = engineLibrary()
    check(
      "ds4_session_restore",
      symbols.ds4_session_restore(this.pointer, bytes, BigInt(bytes.length)),
    )
  }

  /** Idempotent. Not while a job has the session. */
  close(): void {
    if (this.handle === undefined) return
    engineLibrary().symbols.ds4_session_close(this.handle)
    this.handle = undefined
  }
  [Symbol.dispose](): void {
    this.close()
  }
}
