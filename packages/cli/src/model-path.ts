import { existsSync } from "node:fs"
import { EMBEDDED_MODEL_PATH } from "@ds4/engine"
import { CliError, EXIT } from "./errors.ts"

/** What a person is told who did not name a model. */
export const DEMO_NOTICE = "this is the demo model: random weights of the real architecture, its answers mean nothing (-m PATH for a real one)"

/** The path that --model means: undefined and "demo" are the embedded model. */
export function modelPath(model: string | undefined): string {
  const path = isDemoModel(model) ? EMBEDDED_MODEL_PATH : model
  if (!existsSync(path)) throw new CliError(EXIT.model, `there is no model at ${path}`)
  return path
}

export function isDemoModel(model: string | undefined): model is undefined | "demo" {
  return model === undefined || model === "demo"
}
