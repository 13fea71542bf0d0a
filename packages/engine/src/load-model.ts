import { openModelFile, tensorTypeName, withExpertWeights, type ModelFile } from "@ds4/model-file"
import { modelTokenizer, type Tokenizer } from "@ds4/tokenizer"
import { NativeEngine } from "./client.ts"
import { EMBEDDED_MODEL_PATH, isEmbeddedModel } from "./embedded-model.ts"
import { EngineError } from "./errors.ts"
import type { EngineOptions, LoadProgress } from "./types.ts"

export interface LoadedModel {
  readonly file: ModelFile
  readonly tokenizer: Tokenizer
  readonly engine: NativeEngine
}

/** A model for work on token ids, which may have no vocabulary. */
export type LoadedWeights = Omit<LoadedModel, "tokenizer"> & {
  readonly tokenizer: Tokenizer | undefined
}

/**
 * Maps the weights of a checked file and starts an engine over them. The weights are not read here.
 * @param tokenizer without it stop strings and tool zones are refused
 * @throws EngineError
 */
export async function openEngine(
  file: ModelFile,
  tokenizer: Tokenizer | undefined,
  options: EngineOptions = {},
): Promise<NativeEngine> {
  return await NativeEngine.open(file, tokenizer, options, isEmbeddedModel(file.path))
}

/**
 * A model by path: a .gguf file, the first of a split set, or a safetensors folder; undefined is
 * the embedded one.
 * @throws ModelFileError, TokenizerError or EngineError
 */
export async function loadModel(
  path: string | undefined,
  options: EngineOptions = {},
): Promise<LoadedModel> {
  const file = await openFile(path, options)
  const tokenizer = await readVocabulary(file, options, true)
  if (tokenizer === undefined) {
    throw new EngineError(
      "FORMAT",
      `${file.path} carries no vocabulary: expected tokenizer.ggml.* metadata in a GGUF, or a ` +
        `tokenizer.json in the folder`,
    )
  }
  return { file, tokenizer, engine: await openEngine(file, tokenizer, options) }
}

/**
 * Loads as loadModel does, also a model without a vocabulary or one that cannot chat. A vocabulary
 * that is there must be sound.
 * @throws ModelFileError, TokenizerError or EngineError
 */
export async function loadWeights(
  path: string | undefined,
  options: EngineOptions = {},
): Promise<LoadedWeights> {
  const file = await openFile(path, options)
  const tokenizer = await readVocabulary(file, options, false)
  return { file, tokenizer, engine: await openEngine(file, tokenizer, options) }
}

function begin(stage: LoadProgress["stage"], { onLoad }: EngineOptions): void {
  onLoad?.({ stage, doneBytes: 0, totalBytes: 0 })
}

async function openFile(path: string | undefined, options: EngineOptions): Promise<ModelFile> {
  begin("file", options)
  const model = await openModelFile(path ?? EMBEDDED_MODEL_PATH)
  const weights = options.experts?.weightsPath
  const file = weights === undefined ? model : await withExpertWeights(model, weights)
  if (options.experts?.method !== undefined) checkMethod(file, options.experts.method)
  return file
}

async function readVocabulary(
  file: ModelFile,
  options: EngineOptions,
  requireChat: boolean,
): Promise<Tokenizer | undefined> {
  begin("vocabulary", options)
  const tokenizer = await modelTokenizer(file, { requireChat })
  begin("weights", options)
  return tokenizer
}

/** Packed FP4 of the official files and MXFP4 blocks of GGUF files are the same numbers. */
const methodOf = (type: number): string => tensorTypeName(type).replace("FP4_PACKED", "MXFP4")

function checkMethod(file: ModelFile, method: string): void {
  const other = file.tensors.find(
    ({ kind, type }) => kind.startsWith("EXPERT_") && methodOf(type) !== method,
  )
  if (other === undefined) return
  throw new EngineError(
    "ARGUMENT",
    `--kt-method ${method}: ${other.name} is stored as ${methodOf(other.type)}; experts run as ` +
      `they are stored, so leave the flag out`,
  )
}
