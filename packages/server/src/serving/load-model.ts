import { expertOptions, expertsText, loadModel, type LoadProgress } from "@ds4/engine"
import { detectEffortTable } from "@ds4/chat"
import type { ServeOptions } from "../settings.ts"
import { BackgroundEncoder } from "./background-encoder.ts"
import type { ServedModel } from "./serving-state.ts"

/** Context of a session where no --ctx is given and the model allows more. */
const DEFAULT_CONTEXT_TOKENS = 32_768

/** A loaded model, and where its experts run. */
export interface LoadedModel {
  readonly model: ServedModel
  readonly experts: string
}

/** Loads the model that options name, or the embedded one. Rejects when `signal` is aborted. */
export async function loadServedModel(
  options: ServeOptions,
  onLoad: (progress: LoadProgress) => void,
  signal: AbortSignal,
): Promise<LoadedModel> {
  const path = options.model === undefined || options.model === "demo" ? undefined : options.model
  const chunk = options["prefill-chunk"]
  const { file, tokenizer, engine } = await loadModel(path, {
    numerics: options.numerics,
    threads: options.threads,
    isa: options.isa,
    maxSessions: options.parallel,
    maxQueue: options["max-queue"],
    contextTokens: options.ctx ?? DEFAULT_CONTEXT_TOKENS,
    experts: expertOptions(options),
    onLoad,
    signal,
    ...(chunk === undefined ? {} : { maxStepTokens: chunk }),
  })
  const { name, path: modelPath } = engine.model
  const metadata = ["general.name", "general.version"].map((key) => file.metadata.get(key))
  const hints = [name, modelPath, ...metadata.filter((value) => typeof value === "string")]
  const model: ServedModel = {
    id: options["model-id"] ?? listedName(name),
    engine,
    tokenizer,
    background: new BackgroundEncoder(modelPath),
    effortTable: detectEffortTable(hints).table,
    created: Math.floor(Date.now() / 1000),
    fingerprint: `ds4-${options.numerics}`,
  }
  return { model, experts: expertsText(engine.describe()) }
}

/** A model's own name as clients write names: lower case, without spaces. */
function listedName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9._-]+/g, "-") || "model"
}
