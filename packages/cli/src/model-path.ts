import { existsSync } from "node:fs"
import { EMBEDDED_MODEL_NOTE, EMBEDDED_MODEL_PATH } from "@ds4/engine"
import { CliError, EXIT } from "./errors.ts"
import { dim, noteOnce, type Io } from "./io.ts"

/**
 * The path that --model means; nothing and "demo" are the embedded model, which is said on stderr.
 */
export function modelPath(model: string | undefined, io: Io): string {
  const isEmbedded = model === undefined || model === "demo"
  const path = isEmbedded ? EMBEDDED_MODEL_PATH : model
  if (!existsSync(path)) throw new CliError(EXIT.model, `there is no model at ${path}`)
  if (isEmbedded) noteOnce(io, dim(io, `model: ${EMBEDDED_MODEL_NOTE}`))
  return path
}
