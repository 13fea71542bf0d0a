import type { EngineOptions, NativeEngine } from "@ds4/engine"
import type { ModelFile, Tokenizer } from "@ds4/tokenizer"
import { usageError } from "./errors.ts"
import type { FlagValues, MODEL_FLAGS } from "./flags/registry.ts"
import type { Io } from "./io.ts"
import { modelPath } from "./model-path.ts"

export type ModelFlags = FlagValues<(typeof MODEL_FLAGS)[number]>

export interface LoadedModel {
  readonly file: ModelFile
  readonly tokenizer: Tokenizer
  readonly engine: NativeEngine
}

/** The engine options that the model flags ask for. Throws a usage error for a backend that this build lacks. */
export function engineOptions(flags: ModelFlags): EngineOptions {
  if (flags.backend === "cuda") throw usageError("--backend cuda: this build runs on the CPU only; leave the flag out or say --backend cpu")
  return {
    numerics: flags.numerics,
    threads: flags.threads,
    isa: flags.isa,
    ...(flags.ctx === undefined ? {} : { contextTokens: flags.ctx }),
    ...(flags["prefill-chunk"] === undefined ? {} : { maxStepTokens: flags["prefill-chunk"] }),
  }
}

/**
 * Loads the model that the flags name; without one the embedded model, which is said on stderr unless quiet.
 * @param more options that a command adds, such as switches
 */
export async function loadEngine(flags: ModelFlags & { readonly quiet?: boolean }, io: Io, prepareNative: () => void, more: EngineOptions = {}): Promise<LoadedModel> {
  const options = { ...engineOptions(flags), ...more }
  const path = modelPath(flags.model, io, flags.quiet)
  prepareNative()
  const { loadModel } = await import("@ds4/engine") // loads the library: only commands that compute pay for it
  return await loadModel(path, options)
}
