// The options of a pool, as the library takes them.
import type { Pointer } from "bun:ffi"
import { cString } from "@ds4/ffi"
import { ExpertPoolError } from "./errors.ts"
import { handleOf, type KtBridge } from "./library.ts"

export interface ExpertPoolOptions {
  /** `--kt-bridge-lib`: another build of the library. Default: the repository's own. */
  libraryPath?: string
  /** Workers in all. Default: usable cores but one. */
  threads?: number
  /** NUMA node of each part; repeat a node to split it. Default: one part per node. */
  nodes?: number[]
  /** Cores of each part. Default: physical cores of the part's node. */
  cores?: number[][]
  /**
   * Activations: int8 (default), bf16 or exact f32; fp8ref repeats the official recipe's roundings.
   */
  numerics?: "int8" | "bf16" | "fp8ref" | "f32"
  /**
   * `auto` never takes `amx`; `fastest` takes what measures fastest, `amx` included, even where its
   * bits differ.
   */
  isa?: "auto" | "fastest" | "generic" | "avx2" | "avx512" | "amx"
  /**
   * Whether the first load of a kind of layer measures and checks kernels, about 50 ms. Default
   * true.
   */
  calibrate?: boolean
  hugePages?: "auto" | "2m" | "1g" | "off"
  /** Tokens of one internal pass, 1..65536. Default 8192. */
  maxTokens?: number
  /**
   * Tokens of the busiest expert up to which a call runs in the form for few tokens, 0..16.
   * Default: measured.
   */
  fusedTokens?: number
  /**
   * With AMX: tokens of an expert in a pass from which it goes to the tile unit, whose sums round
   * differently; 0 never. Default 16.
   */
  tileTokens?: number
  /** How long an idle worker spins before it sleeps. */
  spinUs?: number
}

/**
 * Starts the workers that the options ask for.
 * @throws ExpertPoolError ARGUMENT for an option that this machine or library cannot honour
 */
export function createEngine(library: KtBridge, options: ExpertPoolOptions): Pointer {
  const engine =
    library.extension === undefined
      ? createKtKernelEngine(library, options)
      : handleOf(library.extension.ktb_engine_create_json(cString(optionsText(options))))
  if (engine === null)
    throw new ExpertPoolError(
      "ARGUMENT",
      library.lastError() || "the library could not start its workers",
    )
  return engine
}

/** Kt-kernel's library takes two numbers; anything else asked of it is an error, not ignored. */
function createKtKernelEngine(library: KtBridge, options: ExpertPoolOptions): Pointer | null {
  const known = new Set(["libraryPath", "threads", "nodes"])
  const asked = Object.entries(options).flatMap(([name, value]) =>
    value === undefined || known.has(name) ? [] : [name],
  )
  if (asked.length > 0) {
    throw new ExpertPoolError(
      "ARGUMENT",
      `${library.path} is kt-kernel's library, which has no option ${asked.join(", ")}`,
    )
  }
  const { threads, nodes } = options
  if (threads === undefined)
    throw new ExpertPoolError("ARGUMENT", `${library.path} is kt-kernel's library: give threads`)
  return handleOf(library.ktKernel.ktb_engine_create(threads, nodes?.length ?? 1))
}

function optionsText({
  threads,
  nodes,
  cores,
  numerics,
  isa,
  calibrate,
  hugePages,
  maxTokens,
  fusedTokens,
  tileTokens,
  spinUs,
}: ExpertPoolOptions): string {
  return JSON.stringify({
    threads,
    nodes,
    cores,
    numerics,
    isa,
    calibrate,
    huge: hugePages,
    max_tokens: maxTokens,
    fused_tokens: fusedTokens,
    tile_tokens: tileTokens,
    spin_us: spinUs,
  })
}
