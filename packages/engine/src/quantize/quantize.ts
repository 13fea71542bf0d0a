// A GGUF file from any model that opens, tensor by tensor. Memory use does not depend on the
// model's size.
import {
  diskFiles,
  metadataFromConfig,
  outputTarget,
  writeGguf,
  type GgufValue,
  type ModelFile,
  type WriteOptions,
} from "@ds4/model-file"
import type { ConvertRows } from "./convert-rows.ts"
import { planQuantize, type QuantizePlan } from "./plan.ts"
import { FILE_TYPES, RECIPES, type Recipe, type RecipeName } from "./recipe.ts"
import { vocabularyMetadata } from "./vocabulary.ts"
import { writeTensor } from "./write-tensor.ts"

/** Within a tensor progress is told this often: a fraction of a second, even on a slow disk. */
const REPORT_BYTES = 16 * 2 ** 20

export interface QuantizeProgress {
  readonly tensor: string
  readonly tensorIndex: number
  readonly tensorCount: number
  readonly writtenBytes: number
  readonly fileBytes: number
}

export interface QuantizeOptions extends Pick<WriteOptions, "freeBytes"> {
  readonly recipe?: RecipeName
  /** Replaces single choices of the recipe. */
  readonly types?: Partial<Recipe>
  /** Replace a file that exists at the target (default false: refuse). */
  readonly overwrite?: boolean
  /** Before each tensor, and within large ones. */
  readonly onProgress?: (progress: QuantizeProgress) => void
  readonly signal?: AbortSignal
}

/** The plan of a conversion, for showing before running it. */
export async function quantizePlan(
  file: ModelFile,
  options: Pick<QuantizeOptions, "recipe" | "types"> = {},
): Promise<QuantizePlan> {
  const recipe: Recipe = { ...RECIPES[options.recipe ?? "mainline"], ...options.types }
  const metadata = new Map<string, GgufValue>([
    ...metadataFromConfig(file.config, {
      dialect: recipe.dialect,
      fileType: FILE_TYPES[recipe.experts],
    }),
    ...(await vocabularyMetadata(file)),
  ])
  return planQuantize(file, recipe, metadata)
}

/**
 * Writes `target` from `file`. On any error, a full disk included, nothing is left behind and a
 * file that was there stays as it was.
 * @throws OutputError for the target; ModelFileError IO, UNSUPPORTED, SHAPE or VALUE (a NaN scale),
 * naming the tensor; the signal's reason when aborted.
 */
export async function quantize(
  file: ModelFile,
  target: string,
  convert: ConvertRows,
  options: QuantizeOptions = {},
): Promise<QuantizePlan> {
  outputTarget(target, options.overwrite === true) // before anything is planned
  const plan = await quantizePlan(file, options)
  const files = await Promise.all(file.files.map(({ path }) => diskFiles.open(path)))
  let writtenBytes = 0
  let reportedBytes = 0
  await writeGguf(
    target,
    plan,
    async (index, sink) => {
      const tensor = plan.tensors[index]
      if (tensor === undefined) throw new RangeError(`the plan has no tensor ${index}`)
      const report = (): void => {
        reportedBytes = writtenBytes
        options.onProgress?.({
          tensor: tensor.name,
          tensorIndex: index,
          tensorCount: plan.tensors.length,
          writtenBytes,
          fileBytes: plan.fileBytes,
        })
      }
      report()
      const counting = {
        write: async (bytes: Uint8Array) => {
          await sink.write(bytes)
          writtenBytes += bytes.length
          if (writtenBytes - reportedBytes >= REPORT_BYTES) report()
        },
        skip: sink.skip.bind(sink),
      }
      await writeTensor({ tensor, files, convert, sink: counting, signal: options.signal })
    },
    {
      overwrite: options.overwrite === true,
      ...(options.freeBytes === undefined ? {} : { freeBytes: options.freeBytes }),
    },
  )
  return plan
}
