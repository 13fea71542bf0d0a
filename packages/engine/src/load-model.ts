import { loadTokenizer, openModelFile, type ModelFile, type Tokenizer } from "@ds4/tokenizer"
import { NativeEngine } from "./client.ts"
import { EMBEDDED_MODEL_PATH, isEmbeddedModel } from "./embedded-model.ts"
import { EngineError } from "./errors.ts"
import type { EngineOptions } from "./types.ts"

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
  return await NativeEngine.open(file, tokenizer, options, isEmbeddedModel(file.path))
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
