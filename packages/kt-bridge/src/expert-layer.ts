// The routed experts of one layer.
import type { Pointer } from "bun:ffi"
import { ExpertPoolError, invalid } from "./errors.ts"
import type { KtBridge } from "./library.ts"
import { KTB } from "./symbols.ts"

export interface ExpertShape {
  experts: number
  /** Routes of a token. */
  expertsUsed: number
  /** Multiples of 128. */
  hidden: number
  expertWidth: number
  /** Clamp of gate and up; 0 for none. */
  swigluLimit: number
}

export interface ForwardInput {
  /** [tokens, hidden] f32 */
  input: Float32Array
  /** [tokens, expertsUsed]; -1 skips a route */
  ids: Int32Array
  /** [tokens, expertsUsed] router weights */
  weights: Float32Array
}

export interface ExpertMatrix {
  /** E2M1 pairs, canonical order [rows, cols / 2] */
  codes: Uint8Array
  /** E8M0 [rows, cols / 32] */
  scales: Uint8Array
}

const POLL_MS = 1

/** Native code keeps the addresses of queued work: these buffers do not move, whatever their size. */
interface QueuedBuffers {
  input: Float32Array
  ids: Int32Array
  weights: Float32Array
  output: Float32Array
}
const fixedFloats = (values: number) => new Float32Array(new ArrayBuffer(values * 4))

function queuedBuffers({ input, ids, weights }: ForwardInput): QueuedBuffers {
  const buffers = {
    input: fixedFloats(input.length), weights: fixedFloats(weights.length), output: fixedFloats(input.length),
    ids: new Int32Array(new ArrayBuffer(ids.byteLength)),
  }
  buffers.input.set(input)
  buffers.weights.set(weights)
  buffers.ids.set(ids)
  return buffers
}

/** Made by ExpertPool.load; valid until the pool closes. */
export class ExpertLayer {
  #handle: Pointer | undefined
  /** Keeps the buffers of unfinished work from being collected. */
  readonly #queued = new Set<QueuedBuffers>()

  constructor(
    private readonly library: KtBridge,
    private readonly engine: Pointer,
    handle: Pointer,
    /** Index in the checkpoint. */
    readonly layer: number,
    readonly shape: ExpertShape,
  ) {
    this.#handle = handle
  }

  /**
   * Routed sum of each token, [tokens, hidden] f32. Blocks: about 0.1 ms for a token of Flash on a large server.
   * @throws ExpertPoolError ARGUMENT for wrong lengths or an id outside -1..experts-1, STATE when closed
   */
  forward(call: ForwardInput): Float32Array {
    const tokens = this.#tokens(call)
    const output = new Float32Array(tokens * this.shape.hidden)
    if (tokens === 0) return output
    const { published, extension, check } = this.library
    const limit = this.shape.swigluLimit
    if (extension === undefined) {
      published.ktb_moe_forward_f32(this.handle, tokens, call.input, output, call.ids, call.weights, false, limit)
      return output
    }
    check("ktb_moe_forward2", extension.ktb_moe_forward2(
      this.handle, tokens, call.input, KTB.KTB_IO_F32, output, KTB.KTB_IO_F32, call.ids, call.weights, KTB.KTB_FORWARD_STRICT_IDS, limit))
    return output
  }

  /**
   * The same without blocking: queued behind earlier work of the pool. Needs the extension.
   * @throws ExpertPoolError as forward; LIBRARY on the published library
   */
  async submit(call: ForwardInput): Promise<Float32Array> {
    const tokens = this.#tokens(call)
    if (tokens === 0) return new Float32Array(0)
    const { extension, check } = this.library
    if (extension === undefined) throw new ExpertPoolError("LIBRARY", `${this.library.path} lacks ktb_moe_submit: use forward`)
    const buffers = queuedBuffers(call)
    const ticket = new BigUint64Array(1)
    check("ktb_moe_submit", extension.ktb_moe_submit(
      this.handle, tokens, buffers.input, KTB.KTB_IO_F32, buffers.output, KTB.KTB_IO_F32, buffers.ids, buffers.weights,
      KTB.KTB_FORWARD_STRICT_IDS, this.shape.swigluLimit, ticket))
    this.#queued.add(buffers)
    try {
      const number = ticket[0] ?? 0n
      let status = extension.ktb_engine_wait(this.engine, number, 0)
      while (status === 1) {
        await Bun.sleep(POLL_MS)
        status = extension.ktb_engine_wait(this.engine, number, 0)
      }
      check("ktb_engine_wait", status)
      return buffers.output
    } finally {
      this.#queued.delete(buffers)
    }
  }

  /**
   * Canonical bytes of one matrix: "w1" gate, "w3" up, "w2" down. Needs the extension.
   * @throws ExpertPoolError ARGUMENT for an expert out of range, LIBRARY on the published library
   */
  exportExpert(expert: number, matrix: "w1" | "w2" | "w3"): ExpertMatrix {
    const { extension, check, path } = this.library
    if (extension === undefined) throw new ExpertPoolError("LIBRARY", `${path} lacks ktb_moe_export_expert`)
    const values = this.shape.hidden * this.shape.expertWidth
    const codes = new Uint8Array(values / 2)
    const scales = new Uint8Array(values / 32)
    const which = Number(matrix.slice(1))
    check("ktb_moe_export_expert", extension.ktb_moe_export_expert(this.handle, expert, which, codes, codes.length, scales, scales.length))
    return { codes, scales }
  }

  /** For the pool; throws STATE when closed. */
  get handle(): Pointer {
    if (this.#handle === undefined) throw new ExpertPoolError("STATE", `layer ${this.layer} is closed`)
    return this.#handle
  }

  /** For the pool: frees the weights. Idempotent. */
  close(): void {
    if (this.#handle === undefined) return
    this.library.published.ktb_moe_destroy(this.#handle)
    const refusal = this.library.lastError()
    if (refusal !== "") throw new ExpertPoolError("STATE", refusal)
    this.#handle = undefined
  }

  /** Number of tokens of a call whose lengths and ids are right. */
  #tokens({ input, ids, weights }: ForwardInput): number {
    const { hidden, expertsUsed, experts } = this.shape
    const tokens = input.length / hidden
    if (!Number.isInteger(tokens)) invalid(`input has ${input.length} values; expected a multiple of hidden ${hidden}`)
    if (ids.length !== tokens * expertsUsed || weights.length !== ids.length) {
      invalid(`${tokens} tokens need ${tokens * expertsUsed} ids and weights; got ${ids.length} and ${weights.length}`)
    }
    const wrong = ids.findIndex((id) => id < -1 || id >= experts)
    if (wrong >= 0) invalid(`expert id ${ids[wrong]} of token ${Math.floor(wrong / expertsUsed)} is outside 0..${experts - 1} (-1 skips)`)
    return tokens
  }
}
