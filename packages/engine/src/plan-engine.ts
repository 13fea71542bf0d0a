import { readText } from "@ds4/ffi"
import type { ModelFile } from "@ds4/model-file"
import { engineLibrary } from "./library.ts"
import { optionsMemory } from "./native/engine-options.ts"
import { memoryAccount, type MemoryAccount } from "./memory-account.ts"
import { NativeModel } from "./native/native-model.ts"
import type { EngineOptions } from "./types.ts"

/** Where an engine would put weights, and the sizes that decide it, in bytes. */
export interface EnginePlan {
  readonly place: "packed" | "mapped" | "gpu"
  /** Why they are mapped. */
  readonly reason: string | undefined
  readonly expertsBytes: number
  /** All other weights. */
  readonly restBytes: number
  /** The cache of one session and the workspace of a step, where experts are packed. */
  readonly sessionsBytes: number
  /** Undefined: the system does not say. */
  readonly availableBytes: number | undefined
  /** All other quantised matrices: packed with so many bytes, or mapped for a reason. */
  readonly dense: DensePlace
  readonly memory: MemoryAccount
}

export type DensePlace =
  | { readonly place: "packed" | "gpu"; readonly bytes: number }
  | { readonly place: "mapped"; readonly reason: string }

interface NativePlan {
  readonly place: EnginePlan["place"]
  readonly reason?: string
  readonly experts_bytes: number
  readonly rest_bytes: number
  readonly sessions_bytes: number
  readonly available_bytes: number | null
  readonly dense: DensePlace
  readonly memory: unknown
}

/**
 * Asks the engine where it would put a model's weights on this machine now. Files are mapped and
 * their tensors checked as openEngine checks them; no weight is read.
 * @throws EngineError for whatever the engine would refuse before it loads weights
 */
export async function planEngine(
  file: ModelFile,
  options: EngineOptions = {},
): Promise<EnginePlan> {
  using model = await NativeModel.open(file)
  const { symbols, check } = engineLibrary()
  const settings = optionsMemory(options)
  const bytes = new BigUint64Array(1)
  const text = readText((buffer, capacity) => {
    check(
      "ds4_engine_plan",
      symbols.ds4_engine_plan(model.pointer, settings, buffer, BigInt(capacity), bytes),
    )
    return bytes[0] ?? 0n
  })
  const plan = JSON.parse(text) as NativePlan
  return {
    place: plan.place,
    reason: plan.reason,
    expertsBytes: plan.experts_bytes,
    restBytes: plan.rest_bytes,
    sessionsBytes: plan.sessions_bytes,
    availableBytes: plan.available_bytes ?? undefined,
    dense: plan.dense,
    memory: memoryAccount(plan.memory),
  }
}
