import type { Pointer } from "bun:ffi"
import { cString, readText } from "@ds4/ffi"
import type { Tokenizer } from "@ds4/tokenizer"
import { EngineError } from "../errors.ts"
import { engineLibrary } from "../library.ts"
import { LOGITS, STEP_ITEM } from "../symbols.ts"
import type { EngineOptions } from "../types.ts"
import { callInBackground } from "./background.ts"
import { optionsMemory } from "./engine-options.ts"
import { openPointer } from "./handle.ts"
import { LoadWatch } from "./load-watch.ts"
import type { NativeModel } from "./native-model.ts"
import type { SessionHandle } from "./session.ts"
import { wakeCallback } from "./wake-up.ts"

/** The library's description of an engine, by field name. */
export type EngineDescription = Readonly<Record<string, unknown>>

/** The new tokens of one session in a step, and which of its rows of logits are wanted. */
export interface StepItem {
  readonly session: SessionHandle
  readonly tokens: Int32Array | readonly number[]
  readonly rows: keyof typeof LOGITS
}

/** Threads, kernels and workspace over one model. */
export class EngineHandle implements Disposable {
  private constructor(private handle: Pointer | undefined) {}

  /**
   * Opens an engine without holding up the calling thread.
   * @throws EngineError ARGUMENT for an option that this machine or build cannot give,
   * DEVICE_MEMORY where packed experts
   *   were asked for and do not fit, CANCELLED by options.signal
   */
  static async open(model: NativeModel, options: EngineOptions): Promise<EngineHandle> {
    using progress = new LoadWatch(options)
    const settings = optionsMemory(options, progress.memory)
    const out = new BigUint64Array(new ArrayBuffer(8))
    await callInBackground("ds4_engine_open", [model.pointer, settings, out])
    const engine = new EngineHandle(Number(out[0]) as Pointer)
    const { symbols, check } = engineLibrary()
    check("ds4_engine_set_waker", symbols.ds4_engine_set_waker(engine.pointer, wakeCallback()))
    return engine
  }

  get pointer(): Pointer {
    return openPointer(this.handle, "engine")
  }

  /**
   * Gives the bytes of every token, which stop strings and tool zones need. Ids without a token
   * have none. Returns a hash of them.
   */
  setVocabulary(tokenizer: Tokenizer, vocab: number): string {
    if (tokenizer.vocab > vocab) {
      throw new EngineError(
        "FORMAT",
        `the tokenizer has ${tokenizer.vocab} ids, the model's vocabulary ${vocab}: they do not ` +
          `belong together`,
      )
    }
    const offsets = new Uint32Array(vocab + 1)
    const tokens: Uint8Array[] = []
    for (let id = 0, end = 0; id < vocab; id++) {
      const bytes = id < tokenizer.vocab ? tokenizer.tokenBytes(id) : undefined
      if (bytes !== undefined) tokens.push(bytes)
      end += bytes?.length ?? 0
      offsets[id + 1] = end
    }
    // never empty: an empty array has no address
    const joined = Buffer.concat([...tokens, new Uint8Array(1)])
    const { symbols, check } = engineLibrary()
    check(
      "ds4_engine_set_vocabulary",
      symbols.ds4_engine_set_vocabulary(
        this.pointer,
        joined,
        BigInt(joined.length - 1),
        offsets,
        vocab,
      ),
    )
    return new Bun.CryptoHasher("blake2b256").update(joined).update(offsets).digest("hex")
  }

  describe(): EngineDescription {
    const { symbols } = engineLibrary()
    return JSON.parse(
      readText((buffer, capacity) =>
        symbols.ds4_engine_describe(this.pointer, buffer, BigInt(capacity)),
      ),
    ) as EngineDescription
  }

  /**
   * One step of several sessions; blocks the calling thread until it is done. Never from a server.
   * @param logits [rows asked for, vocab] f32 in item order; undefined if none are
   */
  step(items: readonly StepItem[], logits: Float32Array | undefined): void {
    if (items.some(({ tokens }) => tokens.length === 0) || items.length === 0)
      throw new EngineError("ARGUMENT", "a step needs at least one token of each session")
    const { symbols, check } = engineLibrary()
    const table = new Uint8Array(STEP_ITEM.bytes * items.length)
    const view = new DataView(table.buffer)
    for (const [i, { session, tokens, rows }] of items.entries()) {
      STEP_ITEM.write(view, i * STEP_ITEM.bytes, {
        session: session.pointer,
        token_count: tokens.length,
        logits: LOGITS[rows],
      })
    }
    const tokens = Int32Array.from(items.flatMap((item) => [...item.tokens]))
    check(
      "ds4_engine_step",
      symbols.ds4_engine_step(
        this.pointer,
        table,
        items.length,
        tokens,
        BigInt(tokens.length),
        logits ?? null,
        BigInt(logits?.length ?? 0),
      ),
    )
  }

  /** Bytes of the states of all sessions and marks, each counted once. */
  get cacheBytes(): number {
    if (this.handle === undefined) return 0
    return Number(engineLibrary().symbols.ds4_engine_cache_bytes(this.pointer))
  }

  /** Bytes by which they may grow; more than any number where the system does not say. */
  get cacheRoom(): number {
    return Number(engineLibrary().symbols.ds4_engine_cache_room(this.pointer))
  }

  /** Records intermediates of following steps; `false` drops what was kept. */
  setTracing(isEnabled: boolean): void {
    const { symbols, check } = engineLibrary()
    check("ds4_engine_trace", symbols.ds4_engine_trace(this.pointer, isEnabled ? 1 : 0))
  }

  /** Arrays that the last step recorded: name to number of f32 values. */
  traceNames(): Map<string, number> {
    const { symbols } = engineLibrary()
    const text = readText((buffer, capacity) =>
      symbols.ds4_engine_trace_names(this.pointer, buffer, BigInt(capacity)),
    )
    const names = new Map<string, number>()
    for (const line of text.split("\n")) {
      const [name, count] = line.split(" ")
      if (name !== undefined && name !== "") names.set(name, Number(count))
    }
    return names
  }

  traceRead(name: string): Float32Array {
    const count = this.traceNames().get(name)
    if (count === undefined)
      throw new EngineError("ARGUMENT", `the last step recorded nothing called ${name}`)
    const values = new Float32Array(Math.max(1, count))
    const written = new BigUint64Array(1)
    const { symbols, check } = engineLibrary()
    check(
      "ds4_engine_trace_read",
      symbols.ds4_engine_trace_read(
        this.pointer,
        cString(name),
        values,
        BigInt(values.length),
        written,
      ),
    )
    return values.subarray(0, Number(written[0]))
  }

  /**
   * Idempotent. Running jobs are cancelled; sessions of the engine refuse everything but being
   * closed.
   */
  close(): void {
    if (this.handle === undefined) return
    engineLibrary().symbols.ds4_engine_close(this.handle)
    this.handle = undefined
  }
  [Symbol.dispose](): void {
    this.close()
  }
}
