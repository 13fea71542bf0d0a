import { realpathSync } from "node:fs"
import { resolve } from "node:path"

/** The model that every command uses when none is named: a folder of this repository. */
export const EMBEDDED_MODEL_PATH = resolve(import.meta.dir, "../../../models/demo")

/** A line that introduces the model to its users; figures are in its folder's README. */
export const EMBEDDED_MODEL_NOTE =
  "the embedded demo model (models/demo): a toy that knows ds4, sums and tools; -m MODEL for a " +
  "real one"

/** Whether a path leads to the embedded model. */
export function isEmbeddedModel(path: string): boolean {
  try {
    return realpathSync(path) === realpathSync(EMBEDDED_MODEL_PATH)
  } catch {
    return false // a model that is not a path on disk, or a checkout without the embedded one
  }
}
