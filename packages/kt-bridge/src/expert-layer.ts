// The routed experts of one layer.
import type { Pointer } from "bun:ffi"
import { ExpertPoolError, invalid } from "./errors.ts"
import type { ExpertMatrix, ExpertMethod, ExpertShape } from "./expert-shape.ts"
import { queuedBuffers, tokensOf, type ForwardInput, type QueuedBuffers } from "./forward-call.ts"
import { slotsOf, type ExtensionFunctions, type KtBridge } from "./library.ts"
import { nativeMatrices, type ExpertWeights, type NativeMatrices } from "./matrices.ts"
import { KTB } from "./symbols.ts"

/**
 * Packed bytes of an expert in one part, in native memory. Layout: ktb_moe_packed in kt_bridge.h.
 */
export interface PackedBytes {
  /** Null in a part that has no share of the width. */
  address: Pointer | null
  bytes: number
}

/** The pool of a layer, as far as the layer uses it. */
export interface LayerHost {
  readonly library: KtBridge
  readonly engine: Pointer
  /** Parts of the pool. */
  readonly parts: () => number
}

const POLL_MS = 1

/** Made by ExpertPool.load or ExpertPool.share; valid until its pool closes. */
export class ExpertLayer {
  #handle: Pointer | undefined
  /** Keeps the buffers of unfinished work from being collected. */
  readonly #queued = new Set<QueuedBuffers | NativeMatrices>()

  constructor(
    private readonly host: LayerHost,
    handle: Pointer,
    /** Index in the checkpoint. */
    readonly layer: number,
    readonly shape: ExpertShape,
    readonly method: ExpertMethod,
  ) {
    this.#handle = handle
  }

  private get library(): KtBridge {
    return this.host.library
  }

  /**
   * Routed sum of each token, [tokens, hidden] f32. Blocks: about 0.1 ms for a token of Flash on a
   * large server.
   * @throws ExpertPoolError ARGUMENT for wrong lengths, an id outside -1..experts-1 or an expert
   * without a slot, STATE when closed
   */
  forward(call: ForwardInput): Float32Array {
    const tokens = tokensOf(call, this.shape)
    const output = new Float32Array(tokens * this.shape.hidden)
    if (tokens === 0) return output
    const { ktKernel, extension, check } = this.library
    const limit = this.shape.swigluLimit
    if (extension === undefined) {
      ktKernel.ktb_moe_forward_f32(
        this.handle,
        tokens,
        call.input,
        output,
        call.ids,
        call.weights,
        false,
        limit,
      )
      return output
    }
    check(
      "ktb_moe_forward2",
      extension.ktb_moe_forward2(
        this.handle,
        tokens,
        call.input,
        KTB.KTB_IO_F32,
        output,
        KTB.KTB_IO_F32,
        call.ids,
        call.weights,
        KTB.KTB_FORWARD_STRICT_IDS,
        limit,
      ),
    )
    return output
  }

  /**
   * The same without blocking: queued behind earlier work of the pool. Needs the extension.
   * @throws ExpertPoolError as forward; LIBRARY on kt-kernel's library
   */
  async submit(call: ForwardInput): Promise<Float32Array> {
    const tokens = tokensOf(call, this.shape)
    if (tokens === 0) return new Float32Array(0)
    const { extension, check } = this.library
    if (extension === undefined)
      throw new ExpertPoolError("LIBRARY", `${this.library.path} lacks ktb_moe_submit: use forward`)
    const buffers = queuedBuffers(call)
    const ticket = new BigUint64Array(1)
    check(
      "ktb_moe_submit",
      extension.ktb_moe_submit(
        this.handle,
        tokens,
        buffers.input,
        KTB.KTB_IO_F32,
        buffers.output,
        KTB.KTB_IO_F32,
        buffers.ids,
        buffers.weights,
        KTB.KTB_FORWARD_STRICT_IDS,
        this.shape.swigluLimit,
        ticket,
      ),
    )
    await this.#finished(extension, ticket, buffers)
    return buffers.output
  }

  /** Waits for a ticket without blocking, holding the buffers that its work uses. */
  async #finished(
    extension: ExtensionFunctions,
    ticket: BigUint64Array,
    buffers: QueuedBuffers | NativeMatrices,
  ): Promise<void> {
    const { engine, library } = this.host
    this.#queued.add(buffers)
    try {
      const number = ticket[0] ?? 0n
      let status = extension.ktb_engine_wait(engine, number, 0)
      while (status === 1) {
        await Bun.sleep(POLL_MS)
        status = extension.ktb_engine_wait(engine, number, 0)
      }
      library.check("ktb_engine_wait", status)
    } finally {
      this.#queued.delete(buffers)
    }
  }

  /**
   * Slot of each expert, [experts], -1 for one that is not here: what `load({ experts })` chose,
   * after the moves since.
   * @throws ExpertPoolError LIBRARY on a library without slots
   */
  slots(): Int32Array {
    const table = new Int32Array(this.shape.experts)
    const count = slotsOf(this.library, "ktb_moe_slots").ktb_moe_slots(this.handle, table)
    if (count < 0) this.library.check("ktb_moe_slots", count)
    return table
  }

  /**
   * Gives the slot of one expert to another one, which may be the same with other bytes. Calls made
   * before use the old expert, those made after it the new one, whether or not this has resolved.
   * The matrices are copied at once. What is refused leaves the layer as it was. Export the old
   * expert first where its bytes are needed.
   * @throws ExpertPoolError ARGUMENT for ids, for an expert that is not where it should be and for
   * scales of another
   *   method; FORMAT naming a matrix of another size or with a value that is no number; STATE while
   * weights are shared;
   *   MEMORY; LIBRARY on a library without slots
   */
  async replaceExpert(leaving: number, entering: number, weights: ExpertWeights): Promise<void> {
    const { extension, check } = this.library
    const { ktb_moe_move_expert: move } = slotsOf(this.library, "ktb_moe_move_expert")
    if (extension === undefined)
      throw new ExpertPoolError("LIBRARY", `${this.library.path} lacks ktb_engine_wait`)
    this.#checkExpert(leaving)
    this.#checkExpert(entering)
    const matrices = nativeMatrices(this.method, weights)
    const [gate, up, down] = matrices.structs
    const ticket = new BigUint64Array(1)
    check("ktb_moe_move_expert", move(this.handle, leaving, entering, gate, up, down, ticket))
    await this.#finished(extension, ticket, matrices)
  }

  /**
   * Where the packed bytes of an expert lie, one entry a part: addresses for reading, such as by a
   * copy to a GPU. Valid until the expert is replaced or the last layer over these weights closes.
   * @throws ExpertPoolError ARGUMENT for an id, STATE for an expert without a slot, LIBRARY on a
   * library without slots
   */
  packed(expert: number): PackedBytes[] {
    const { ktb_moe_packed: locate } = slotsOf(this.library, "ktb_moe_packed")
    this.#checkExpert(expert)
    return Array.from({ length: this.host.parts() }, (_, part) => {
      const address = new BigUint64Array(1)
      const bytes = new BigUint64Array(1)
      this.library.check("ktb_moe_packed", locate(this.handle, part, expert, address, bytes))
      return {
        address: address[0] === 0n ? null : (Number(address[0]) as Pointer),
        bytes: Number(bytes[0]),
      }
    })
  }

  /**
   * Canonical bytes of one matrix: "w1" gate, "w3" up, "w2" down. Needs the extension.
   * @throws ExpertPoolError ARGUMENT for an expert out of range, STATE for one without a slot,
   * LIBRARY on kt-kernel's library
   */
  exportExpert(expert: number, matrix: "w1" | "w2" | "w3"): ExpertMatrix {
    const { extension, check, path } = this.library
    if (extension === undefined)
      throw new ExpertPoolError("LIBRARY", `${path} lacks ktb_moe_export_expert`)
    const values = this.shape.hidden * this.shape.moeIntermediateSize
    const codes = new Uint8Array(values / 2)
    const scales = new Uint8Array(values / 32)
    const which = Number(matrix.slice(1))
    check(
      "ktb_moe_export_expert",
      extension.ktb_moe_export_expert(
        this.handle,
        expert,
        which,
        codes,
        codes.length,
        scales,
        scales.length,
      ),
    )
    return { codes, scales }
  }

  /** Path of the library that has the weights. */
  get libraryPath(): string {
    return this.library.path
  }

  /** For the pool; throws STATE when closed. */
  get handle(): Pointer {
    if (this.#handle === undefined)
      throw new ExpertPoolError("STATE", `layer ${this.layer} is closed`)
    return this.#handle
  }

  /** For the pool: frees the weights. Idempotent. */
  close(): void {
    if (this.#handle === undefined) return
    this.library.ktKernel.ktb_moe_destroy(this.#handle)
    const refusal = this.library.lastError()
    if (refusal !== "") throw new ExpertPoolError("STATE", refusal)
    this.#handle = undefined
  }

  #checkExpert(expert: number): void {
    const { experts } = this.shape
    if (!Number.isInteger(expert) || expert < 0 || expert >= experts)
      invalid(`layer ${this.layer}: expert ${expert} is outside 0..${experts - 1}`)
  }
}
