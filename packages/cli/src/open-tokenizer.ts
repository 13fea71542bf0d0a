import type { ModelFile } from "@ds4/model-file"
import { loadTokenizer, type Tokenizer } from "@ds4/tokenizer"
import { CliError, EXIT } from "./errors.ts"
import type { Io } from "./io.ts"
import { modelPath } from "./model-path.ts"
import { openModel } from "./open-model.ts"

/** A model's tokenizer without its engine; a tokenizer.json may stand alone. */
export async function openTokenizer(model: string | undefined, io: Io): Promise<Tokenizer> {
  const path = modelPath(model, io)
  if (path.endsWith(".json")) return await loadTokenizer({ kind: "tokenizer.json", path })
  return await tokenizerOf(await openModel(path, io))
}

/** The tokenizer of an opened model file. */
export async function tokenizerOf(file: ModelFile): Promise<Tokenizer> {
  if (file.tokenizer === undefined)
    throw new CliError(
      EXIT.model,
      `${file.path} carries no vocabulary; put its tokenizer.json beside the weights`,
    )
  return await loadTokenizer(file.tokenizer)
}
