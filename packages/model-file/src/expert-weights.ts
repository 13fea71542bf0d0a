// A model whose routed experts come from another file than everything else: a GGUF for the trunk,
// the official safetensors for the experts.
import { openModelFile } from "./open-model-file.ts"
import { type ModelFile } from "./model-file.ts"
import { ModelFileError } from "./model-file-error.ts"
import { TENSOR_KINDS } from "./tensor-kinds.ts"

const EXPERT_KINDS: ReadonlySet<string> = new Set(
  TENSOR_KINDS.filter(({ scope }) => scope === "expert").map(({ name }) => name),
)

/** Fields that must agree where the experts of one file belong to the layers of another. */
const AGREED = ["layers", "hidden", "experts", "expertsPerToken", "moeIntermediateSize"] as const

/**
 * `file` with the routed experts of the model at `path`.
 * @throws ModelFileError SHAPE when the two are not the same shape, naming both values; others as
 * openModelFile
 */
export async function withExpertWeights(file: ModelFile, path: string): Promise<ModelFile> {
  const experts = await openModelFile(path)
  for (const key of AGREED) {
    if (experts.config[key] === file.config[key]) continue
    throw new ModelFileError(
      "SHAPE",
      `its experts do not fit ${file.path}: ${key} is ${experts.config[key]}, the model has ` +
        `${file.config[key]}`,
      { path },
    )
  }
  const first = file.files.length
  const moved = experts.tensors
    .filter(({ kind }) => EXPERT_KINDS.has(kind))
    .map((tensor) => ({
      ...tensor,
      file: tensor.file + first,
      scaleFile: tensor.scaleBytes > 0 ? tensor.scaleFile + first : 0,
    }))
  return {
    ...file,
    files: [...file.files, ...experts.files],
    tensors: [...file.tensors.filter(({ kind }) => !EXPERT_KINDS.has(kind)), ...moved],
    warnings: [...file.warnings, ...experts.warnings],
  }
}
