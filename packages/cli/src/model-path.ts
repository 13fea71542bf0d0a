import { existsSync } from "node:fs"
import { EMBEDDED_MODEL_PATH } from "@ds4/engine"
import { CliError, EXIT } from "./errors.ts"

/** The path that --model means: undefined and "demo" are the embedded model. */
export function modelPath(model: string | undefined): string {
  const path = isDemoModel(model) ? EMBEDDED_MODEL_PATH : model
  if (!existsSync(path)) throw new CliError(EXIT.model, `there is no model at ${path}`)
  return path
}

export function isDemoModel(model: string | undefined): model is undefined | "demo" {
  return model === undefined || model === "demo"
}
