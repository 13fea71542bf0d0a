import { openModelFile, type ModelFile } from "@ds4/model-file"
import type { Io } from "./io.ts"
import { progressOf } from "./progress-of.ts"

/**
 * Opens and checks a model file; what takes long, as on a slow disk, is shown.
 * @throws ModelFileError
 */
export async function openModel(path: string, io: Io): Promise<ModelFile> {
  using progress = progressOf(io)
  progress.begin({ label: "opening the model" })
  return await openModelFile(path)
}
