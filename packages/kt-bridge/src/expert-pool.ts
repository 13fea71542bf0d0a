// Routed experts in main memory, computed by pinned native threads.
import type { Pointer } from "bun:ffi"
import { ExpertPoolError, invalid } from "./errors.ts"
import { createEngine, type ExpertPoolOptions } from "./engine-options.ts"
import { ExpertLayer, type LayerHost } from "./expert-layer.ts"
import type { ExpertMethod, ExpertShape } from "./expert-shape.ts"
import { handleOf, openKtBridge, slotsOf, type KtBridge } from "./library.ts"
import type { LoadReply, LoadRequest } from "./load.ts"
import { parseStats, type ExpertPoolStats } from "./stats.ts"
import { KTB } from "./symbols.ts"

export interface LoadOptions {
  /** Folder of safetensors in the official layout. */
  folder: string
  layers: readonly number[]
  shape: ExpertShape
  /** Default MXFP4, as the official files. Kt-kernel's library refuses what it lacks. */
  method?: ExpertMethod
  /**
   * Experts to have in memory, expert `experts[i]` in slot i: the same of every layer, or as a
   * function of the layer. Only these are read; a route to another one is refused. Default: all.
   */
  experts?: readonly number[] | ((layer: number) => readonly number[])
  /** Called about ten times a second with weight bytes. */
  onProgress?: (progress: { doneBytes: number; totalBytes: number }) => void
}

const PROGRESS_MS = 100

export class ExpertPool {
  #engine: Pointer | undefined
  #layers: ExpertLayer[] = []
  #isLoading = false
  #parts: number | undefined

  private constructor(
    private readonly library: KtBridge,
    engine: Pointer,
  ) {
    this.#engine = engine
  }

  /**
   * Starts the workers.
   * @throws ExpertPoolError LIBRARY when the library cannot be used, ARGUMENT for an option that
   * this machine or
   *   library cannot honour
   */
  static open(options: ExpertPoolOptions = {}): ExpertPool {
    const library = openKtBridge(options.libraryPath)
    return new ExpertPool(library, createEngine(library, options))
  }

  /**
   * Packs the experts of some layers from a checkpoint. Runs beside the event loop; memory for all
   * of them is checked before anything is read.
   * @throws ExpertPoolError FORMAT naming the tensor, what was expected and what came; ARGUMENT;
   * MEMORY; IO; STATE while
   *   another load runs; LIBRARY for `experts` on a library without slots
   */
  async load({
    folder,
    layers,
    shape,
    method = "MXFP4",
    experts,
    onProgress,
  }: LoadOptions): Promise<ExpertLayer[]> {
    if (this.#isLoading)
      throw new ExpertPoolError("STATE", "the pool is already loading: wait for it")
    const engine = this.#openEngine()
    this.#isLoading = true
    const made: ExpertLayer[] = []
    try {
      for (const layer of layers) {
        const created = this.#createLayer(layer, shape, method)
        made.push(created)
        if (experts !== undefined)
          this.#keep(created, typeof experts === "function" ? experts(layer) : experts)
      }
      const request: LoadRequest = {
        libraryPath: this.library.path,
        folder,
        engine,
        layers: made.map(({ handle, layer }) => ({ handle, layer })),
      }
      const reply = await this.#loadBeside(request, onProgress)
      if (!reply.ok) throw new ExpertPoolError(reply.code, reply.message)
      this.#layers.push(...made)
      return made
    } catch (error) {
      for (const layer of made) layer.close()
      throw error
    } finally {
      this.#isLoading = false
    }
  }

  /**
   * A layer of this pool over the packed weights of a layer of this or another pool, without a
   * copy. Both stay usable whichever pool closes first, and none of their experts can be replaced
   * until one is closed. May measure kernels for some 50 ms, as a load does.
   * @throws ExpertPoolError ARGUMENT when the pools do not split the width over their parts alike
   * or use different
   *   libraries; STATE when the layer is closed or being changed; LIBRARY on a library without
   * slots
   */
  share(source: ExpertLayer): ExpertLayer {
    const { path, check } = this.library
    const { ktb_moe_create_shared: create } = slotsOf(this.library, "ktb_moe_create_shared")
    if (source.libraryPath !== path)
      invalid(
        `the layer's pool uses ${source.libraryPath} and this one ${path}: weights are shared ` +
          `within one library`,
      )
    const host = this.#host()
    const handle = new BigUint64Array(1)
    check("ktb_moe_create_shared", create(host.engine, source.handle, handle))
    const made = new ExpertLayer(
      host,
      Number(handle[0]) as Pointer,
      source.layer,
      source.shape,
      source.method,
    )
    this.#layers.push(made)
    return made
  }

  /** @throws ExpertPoolError LIBRARY on kt-kernel's library */
  stats(): ExpertPoolStats {
    const { extension, path, check } = this.library
    if (extension === undefined)
      throw new ExpertPoolError("LIBRARY", `${path} lacks ktb_engine_describe`)
    const engine = this.#openEngine()
    const length = extension.ktb_engine_describe(engine, null, 0)
    if (length < 0) check("ktb_engine_describe", length)
    const text = new Uint8Array(length + 4096) // numbers may have grown since
    const written = extension.ktb_engine_describe(engine, text, text.length)
    return parseStats(new TextDecoder().decode(text.subarray(0, written)))
  }

  /**
   * A small layer through every instruction set of this CPU against a scalar implementation.
   * @throws ExpertPoolError INTERNAL naming what disagreed
   */
  selfTest(): void {
    const { extension, path, check } = this.library
    if (extension === undefined) throw new ExpertPoolError("LIBRARY", `${path} lacks ktb_selftest`)
    check("ktb_selftest", extension.ktb_selftest(this.#openEngine()))
  }

  /**
   * Frees the layers and joins the workers. Idempotent.
   * @throws ExpertPoolError STATE while a load or a submitted call is unfinished
   */
  close(): void {
    if (this.#engine === undefined) return
    if (this.#isLoading)
      throw new ExpertPoolError("STATE", "the pool is loading: wait for it before closing")
    for (const layer of this.#layers) layer.close()
    this.#layers = []
    this.library.ktKernel.ktb_engine_destroy(this.#engine)
    const refusal = this.library.lastError()
    if (refusal !== "") throw new ExpertPoolError("STATE", refusal)
    this.#engine = undefined
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #openEngine(): Pointer {
    if (this.#engine === undefined) throw new ExpertPoolError("STATE", "the pool is closed")
    return this.#engine
  }

  #host(): LayerHost {
    return {
      library: this.library,
      engine: this.#openEngine(),
      parts: () => (this.#parts ??= this.stats().parts.length),
    }
  }

  #keep(layer: ExpertLayer, experts: readonly number[]): void {
    const { ktb_moe_keep_experts: keep } = slotsOf(this.library, "ktb_moe_keep_experts")
    const wrong = experts.find(
      (expert) => !Number.isInteger(expert) || expert < 0 || expert >= layer.shape.experts,
    )
    if (wrong !== undefined)
      invalid(`layer ${layer.layer}: expert ${wrong} is outside 0..${layer.shape.experts - 1}`)
    if (experts.length === 0)
      invalid(`layer ${layer.layer}: no experts to keep; expected 1..${layer.shape.experts}`)
    this.library.check(
      "ktb_moe_keep_experts",
      keep(layer.handle, experts.length, Int32Array.from(experts)),
    )
  }

  #createLayer(layer: number, shape: ExpertShape, method: ExpertMethod): ExpertLayer {
    const { experts, expertsPerToken, hidden, moeIntermediateSize, swigluLimit } = shape
    for (const [name, value] of Object.entries({
      layer,
      experts,
      expertsPerToken,
      hidden,
      moeIntermediateSize,
    })) {
      if (!Number.isInteger(value) || value < 0 || value > 0x7fff_ffff)
        invalid(`${name} is ${value}; expected a count`)
    }
    const host = this.#host()
    const handle = handleOf(
      this.library.ktKernel.ktb_moe_create(
        host.engine,
        layer,
        experts,
        expertsPerToken,
        hidden,
        moeIntermediateSize,
        KTB.KTB_IO_F32,
        KTB[`KTB_${method}`],
        method === "MXFP4" ? 32 : 0,
        swigluLimit,
      ),
    )
    if (handle === null)
      throw new ExpertPoolError(
        "ARGUMENT",
        this.library.lastError() || `the library refused layer ${layer}`,
      )
    return new ExpertLayer(host, handle, layer, { ...shape }, method)
  }

  async #loadBeside(
    request: LoadRequest,
    onProgress: LoadOptions["onProgress"],
  ): Promise<LoadReply> {
    const worker = new Worker(new URL("./load-worker.ts", import.meta.url).href)
    const timer =
      onProgress === undefined
        ? undefined
        : setInterval(() => onProgress(this.#progress()), PROGRESS_MS)
    try {
      const { promise, resolve } = Promise.withResolvers<LoadReply>()
      worker.onmessage = (event: MessageEvent<LoadReply>) => resolve(event.data)
      worker.onerror = (event) =>
        resolve({
          ok: false,
          code: "INTERNAL",
          message: `the loading thread failed: ${event.message}`,
        })
      worker.postMessage(request)
      const reply = await promise
      onProgress?.(this.#progress())
      return reply
    } finally {
      clearInterval(timer)
      worker.terminate()
    }
  }

  #progress(): { doneBytes: number; totalBytes: number } {
    const done = new BigUint64Array(1)
    const total = new BigUint64Array(1)
    const { extension, check } = this.library
    if (extension !== undefined)
      check("ktb_load_progress", extension.ktb_load_progress(this.#openEngine(), done, total))
    return { doneBytes: Number(done[0] ?? 0n), totalBytes: Number(total[0] ?? 0n) }
  }
}
