// Plans the tensors of a quantised file and checks them before the first byte is written.
import {
  ModelFileError,
  TENSOR_TYPES,
  expectedTensors,
  layoutGguf,
  tensorTypeName,
  type ExpectedTensor,
  type GgufTensorPlan,
  type GgufValue,
  type ModelFile,
  type TensorEntry,
  type TensorTypeName,
} from "@ds4/model-file"
import { targetType, type Recipe } from "./recipe.ts"

/**
 * One tensor of the new file and where its rows come from: one entry, or one for each expert in id
 * order.
 */
export interface QuantizeTensor extends GgufTensorPlan {
  readonly sources: readonly TensorEntry[]
}

export interface QuantizePlan {
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly tensors: readonly QuantizeTensor[]
  readonly fileBytes: number
}

const LOSSLESS_SOURCES: Readonly<Record<string, readonly TensorTypeName[]>> = {
  MXFP4: ["MXFP4", "FP4_PACKED"],
}

/**
 * @throws ModelFileError UNSUPPORTED or SHAPE when a tensor cannot have its target type
 */
export function planQuantize(
  file: ModelFile,
  recipe: Recipe,
  metadata: ReadonlyMap<string, GgufValue>,
): QuantizePlan {
  const entries = Map.groupBy(file.tensors, (tensor) => `${tensor.kind}.${tensor.layer}`)
  const tensors: QuantizeTensor[] = []
  for (const expected of expectedTensors(file.config, "gguf")) {
    const sources = (entries.get(`${expected.kind}.${expected.layer}`) ?? []).toSorted(
      (a, b) => a.expert - b.expert,
    )
    const type = targetType(expected, recipe)
    for (const source of sources) checkSource(source, type)
    tensors.push({
      name: expected.name,
      type: TENSOR_TYPES[type],
      shape: shapeOf(expected),
      sources,
    })
  }
  return { metadata, tensors, fileBytes: layoutGguf({ metadata, tensors }).fileBytes }
}

function shapeOf({ role, depth, rows, cols }: ExpectedTensor): number[] {
  if (role === "vector") return [cols]
  return role === "expert" ? [depth, rows, cols] : [rows, cols]
}

function checkSource(source: TensorEntry, target: TensorTypeName): void {
  const allowed = LOSSLESS_SOURCES[target]
  if (allowed === undefined || allowed.some((type) => TENSOR_TYPES[type].id === source.type)) return
  throw new ModelFileError(
    "UNSUPPORTED",
    `tensor ${source.name} is stored as ${tensorTypeName(source.type)}; ${target} is made only ` +
      `from ${allowed.join(" or ")}, without loss. Choose Q8_0 or a float type for the experts`,
    { tensor: source.name },
  )
}
