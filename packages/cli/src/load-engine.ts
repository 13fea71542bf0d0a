import type { EngineOptions, ExpertOptions, LoadProgress, NativeEngine } from "@ds4/engine"
import type { ModelFile } from "@ds4/model-file"
import type { Tokenizer } from "@ds4/tokenizer"
import type { ModelOptionName, OptionValues } from "@ds4/options"
import { usageError } from "./errors.ts"
import { formatBytes } from "./format-size.ts"
import type { Io } from "./io.ts"
import { modelPath } from "./model-path.ts"

export type ModelFlags = OptionValues<ModelOptionName>

interface LoadedModel {
  readonly file: ModelFile
  readonly tokenizer: Tokenizer
  readonly engine: NativeEngine
}

/**
 * The engine options that the model flags ask for. Throws a usage error for a backend that this
 * build lacks.
 */
function engineOptions(flags: ModelFlags): EngineOptions {
  if (flags.backend === "cuda")
    throw usageError(
      "--backend cuda: this build runs on the CPU only; leave the flag out or say --backend cpu",
    )
  return {
    numerics: flags.numerics,
    threads: flags.threads,
    isa: flags.isa,
    ...(flags.ctx === undefined ? {} : { contextTokens: flags.ctx }),
    ...(flags["prefill-chunk"] === undefined ? {} : { maxStepTokens: flags["prefill-chunk"] }),
  }
}

/** Reads the flags about routed experts. */
export async function expertOptionsOf(flags: ModelFlags): Promise<ExpertOptions> {
  const { expertOptions } = await import("@ds4/engine")
  return expertOptions(flags)
}

/**
 * Loads the model that the flags name; without one the embedded model, which is said on stderr
 * unless quiet.
 * @param more options that a command adds, such as switches
 */
export async function loadEngine(
  flags: ModelFlags & { readonly quiet?: boolean },
  io: Io,
  prepareNative: () => void,
  more: EngineOptions = {},
): Promise<LoadedModel> {
  const asked = engineOptions(flags)
  const path = modelPath(flags.model, io, flags.quiet)
  prepareNative()
  // loads the library: only commands that compute pay for it
  const { loadModel } = await import("@ds4/engine")
  const isShown = io.isErrorTerminal && flags.quiet !== true
  let lines = 0
  const onLoad = ({ doneBytes, totalBytes }: LoadProgress): void => {
    lines++
    io.err(`\rpacking experts: ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}\x1b[K`)
  }
  try {
    return await loadModel(path, {
      ...asked,
      experts: await expertOptionsOf(flags),
      ...(isShown ? { onLoad } : {}),
      ...more,
    })
  } finally {
    if (lines > 0) io.err("\r\x1b[K")
  }
}
