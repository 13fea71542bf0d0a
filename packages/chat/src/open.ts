import type { EngineOptions, LoadedModel } from "@ds4/engine"
import type { ModelFile } from "@ds4/model-file"
import type { AnswerMemoryLimits } from "./answer/answer-memory.ts"
import { Chat } from "./chat.ts"
import { BackgroundEncoder } from "./encoding/background-encoder.ts"
import { detectEffortTable, type EffortTable } from "./template/effort.ts"

export interface OpenOptions extends EngineOptions {
  /** Limits of the sampled calls and answers that later prompts repeat exactly. */
  readonly memory?: AnswerMemoryLimits
}

/**
 * Opens a chat with a model: a .gguf file, the first of a split set, or a safetensors folder.
 * @param path default: the embedded model
 * @throws ModelFileError, TokenizerError or EngineError
 */
export async function open(path?: string, options: OpenOptions = {}): Promise<Chat> {
  const { loadModel } = await import("@ds4/engine") // only programs that compute load the engine
  return chatWith(await loadModel(path, options), options.memory)
}

/** A chat over a model that has been loaded; closing the chat closes the engine. */
export function chatWith(
  { file, tokenizer, engine }: LoadedModel,
  memory: AnswerMemoryLimits = {},
): Chat {
  return new Chat({
    engine,
    tokenizer,
    effortTable: effortTableOf(file),
    background: new BackgroundEncoder(engine.model.path),
    memory,
  })
}

/** The effort table of a checkpoint, by the texts with which its file describes it. */
function effortTableOf({ config, path, metadata }: ModelFile): EffortTable {
  const texts = ["general.name", "general.version"]
    .map((key) => metadata.get(key))
    .filter((value) => typeof value === "string")
  return detectEffortTable([config.name, path, ...texts])
}
