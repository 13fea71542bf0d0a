import { loadTokenizer, modelTokenizer, type Tokenizer } from "@ds4/tokenizer"
import { CliError, EXIT } from "./errors.ts"
import type { Io } from "./io.ts"
import { modelPath } from "./model-path.ts"
import { openModel } from "./open-model.ts"

/** A model's tokenizer without its engine; a tokenizer.json may stand alone. */
export async function openTokenizer(model: string | undefined, io: Io): Promise<Tokenizer> {
  const path = modelPath(model, io)
  if (path.endsWith(".json")) return await loadTokenizer({ kind: "tokenizer.json", path })
  const tokenizer = await modelTokenizer(await openModel(path, io))
  if (tokenizer === undefined)
    throw new CliError(
      EXIT.model,
      `${path} carries no vocabulary; put its tokenizer.json beside the weights`,
    )
  return tokenizer
}
