import type {
  EngineDescription,
  EngineOptions,
  ExpertOptions,
  LoadedModel,
  LoadedWeights,
  NativeEngine,
} from "@ds4/engine"
import type { ModelOptionName, OptionValues } from "@ds4/options"
import { reportLoad } from "@ds4/progress"
import { dim, noteOnce, type Io } from "./io.ts"
import { modelPath } from "./model-path.ts"
import { progressOf } from "./progress-of.ts"

type EngineModule = typeof import("@ds4/engine")

export type ModelFlags = OptionValues<ModelOptionName>

/** The engine options that the model flags ask for. */
function engineOptions(flags: ModelFlags): EngineOptions {
  return {
    backend: flags.backend,
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
 * Loads the model that the flags name, for a chat; without one the embedded model, which is said on
 * stderr.
 * @param more options that a command adds, such as switches
 */
export async function loadChatModel(
  flags: ModelFlags,
  io: Io,
  prepareNative: () => void,
  more: EngineOptions = {},
): Promise<LoadedModel> {
  return await load(flags, io, prepareNative, (engine, path, options) =>
    engine.loadModel(path, { ...options, ...more }),
  )
}

/** Loads as loadChatModel does, for work on token ids alone: the model may have no vocabulary. */
export async function loadEngine(
  flags: ModelFlags,
  io: Io,
  prepareNative: () => void,
  more: EngineOptions = {},
): Promise<LoadedWeights> {
  return await load(flags, io, prepareNative, (engine, path, options) =>
    engine.loadWeights(path, { ...options, ...more }),
  )
}

async function load<Loaded extends LoadedWeights>(
  flags: ModelFlags,
  io: Io,
  prepareNative: () => void,
  open: (engine: EngineModule, path: string, options: EngineOptions) => Promise<Loaded>,
): Promise<Loaded> {
  const asked = engineOptions(flags)
  const path = modelPath(flags.model, io)
  prepareNative()
  // loads the library: only commands that compute pay for it
  const module = await import("@ds4/engine")
  const progress = progressOf(io)
  const startMs = performance.now()
  try {
    const experts = await expertOptionsOf(flags)
    const loaded = await open(module, path, { ...asked, experts, onLoad: reportLoad(progress) })
    progress.stop()
    if (progress.wasShown && performance.now() - startMs >= LONG_LOAD_MS)
      io.err(`${dim(io, loadedText(loaded.engine, startMs, module.expertsText))}\n`)
    const note = module.contextNote(flags.ctx, loaded.engine.model)
    if (note !== undefined) noteOnce(io, `ds4: ${note}`)
    return loaded
  } finally {
    progress.stop()
  }
}

/** A load that takes longer gets a closing line. */
const LONG_LOAD_MS = 1000

/** The closing line of a load that took long enough to be watched: what it came to. */
function loadedText(
  engine: NativeEngine,
  startMs: number,
  expertsText: (description: EngineDescription) => string,
): string {
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1)
  return `loaded ${engine.model.name} in ${seconds} s; experts ${expertsText(engine.describe())}`
}
