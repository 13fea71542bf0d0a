import { realpathSync } from "node:fs"
import { resolve } from "node:path"
import { loadTokenizer, openModelFile, type ModelFile, type Tokenizer } from "@ds4/tokenizer"
import { NativeEngine } from "./client.ts"
import { EngineError } from "./errors.ts"
import type { EngineOptions } from "./types.ts"

/** The model in the repository: random weights of the real architecture. */
export const EMBEDDED_MODEL_PATH = resolve(import.meta.dir, "../../../models/tiny")

export interface LoadedModel {
  readonly file: ModelFile
  readonly tokenizer: Tokenizer
  readonly engine: NativeEngine
}

/**
 * Maps the weights of a checked file and starts an engine over them. The weights are not read here.
 * @param tokenizer without it stop strings and tool zones are refused
 * @throws EngineError
 */
export async function openEngine(file: ModelFile, tokenizer: Tokenizer | undefined, options: EngineOptions = {}): Promise<NativeEngine> {
  return await NativeEngine.open(file, tokenizer, options, isEmbedded(file.path))
}

function isEmbedded(path: string): boolean {
  try {
    return realpathSync(path) === realpathSync(EMBEDDED_MODEL_PATH)
  } catch {
    return false // a model that is not a path on disk, or a checkout without the embedded one
  }
}

/**
 * A model by path: a .gguf file, the first of a split set, or a safetensors folder; undefined is the embedded one.
 * @throws ModelFileError, TokenizerError or EngineError
 */
export async function loadModel(path: string | undefined, options: EngineOptions = {}): Promise<LoadedModel> {
  const file = await openModelFile(path ?? EMBEDDED_MODEL_PATH)
  if (file.tokenizer === undefined) {
    throw new EngineError("FORMAT", `${file.path} carries no vocabulary: expected tokenizer.ggml.* metadata in a GGUF, or a tokenizer.json in the folder`)
  }
  const tokenizer = await loadTokenizer(file.tokenizer)
  return { file, tokenizer, engine: await openEngine(file, tokenizer, options) }
}
