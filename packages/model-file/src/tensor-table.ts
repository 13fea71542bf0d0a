// Matches the tensors found in files with those that the configuration calls for. Both containers
// meet here, so shapes and types are judged by one set of rules.
import {
  ALLOWED_TYPES,
  FP4_GROUP,
  FP8_BLOCK,
  expectedTensors,
  scaleName,
  type ContainerFormat,
  type ExpectedTensor,
} from "./inventory.ts"
import type { ModelConfig } from "./model-config.ts"
import { ModelFileError, type ModelFileErrorCode } from "./model-file-error.ts"
import type { StoredTensor } from "./stored-tensor.ts"
import type { TensorKindName } from "./tensor-kinds.ts"
import { TENSOR_TYPES, tensorTypeName } from "./tensor-types.ts"

/**
 * One weight of the model: what it is for and where its bytes are. All offsets are absolute in
 * their file.
 */
export interface TensorEntry {
  kind: TensorKindName
  /** As in the file. */
  name: string
  /** -1: of the model. */
  layer: number
  /** -1: not an expert, or all experts stacked. */
  expert: number
  /** DS4_TYPE_* of native/include/ds4.h. */
  type: number
  /** [depth, rows, cols] values; depth counts stacked experts, a vector has one row. */
  rows: number
  cols: number
  depth: number
  file: number
  offset: number
  bytes: number
  /** Scales of FP8 and packed FP4 weights; all 0 when the type has none. */
  scaleFile: number
  scaleOffset: number
  scaleBytes: number
}

interface TensorTable {
  readonly tensors: TensorEntry[]
  readonly ignored: string[]
  readonly warnings: string[]
}

/** Missing or extra tensors named in one message. */
const NAMES_SHOWN = 5

/**
 * Builds the tensor table.
 * @throws ModelFileError MISSING, UNEXPECTED, SHAPE or UNSUPPORTED, naming the tensor, what was
 * expected and what came.
 */
export function matchTensors(
  config: ModelConfig,
  format: ContainerFormat,
  stored: readonly StoredTensor[],
  path: string,
): TensorTable {
  const found = new Map(stored.map((tensor) => [tensor.name, tensor]))
  const tensors: TensorEntry[] = []
  const missing: string[] = []
  let missingCount = 0
  const lack = (name: string): void => {
    missingCount++
    if (missing.length < NAMES_SHOWN) missing.push(name)
  }
  for (const expected of expectedTensors(config, format)) {
    const tensor = take(found, expected.name)
    if (tensor === undefined) {
      lack(expected.name)
      continue
    }
    const entry = checkedEntry(expected, tensor, format, path)
    const scale = needsScale(tensor) ? take(found, scaleName(expected.name)) : undefined
    if (needsScale(tensor) && scale === undefined) lack(scaleName(expected.name))
    if (scale !== undefined) attachScale(entry, scale, path)
    tensors.push(entry)
  }
  if (missingCount > 0)
    throw new ModelFileError("MISSING", listed(missing, missingCount, "missing"), {
      path,
      tensor: missing[0],
    })
  checkPairs(tensors, path)
  return { tensors, ...sortOutRest(config, [...found.keys()], path) }
}

function take(found: Map<string, StoredTensor>, name: string): StoredTensor | undefined {
  const tensor = found.get(name)
  found.delete(name)
  return tensor
}

const listed = (names: readonly string[], count: number, what: string): string =>
  `${count} tensor${count === 1 ? " is" : "s are"} ${what}: ${names.join(", ")}` +
  `${count > names.length ? ", ..." : ""}`

const needsScale = (tensor: StoredTensor): boolean =>
  tensor.type === TENSOR_TYPES.F8_E4M3 || tensor.type === TENSOR_TYPES.FP4_PACKED

function fault(
  code: ModelFileErrorCode,
  tensor: string,
  message: string,
  path: string,
): ModelFileError {
  return new ModelFileError(code, `tensor ${tensor} ${message}`, { path, tensor })
}

function checkedEntry(
  expected: ExpectedTensor,
  tensor: StoredTensor,
  format: ContainerFormat,
  path: string,
): TensorEntry {
  const { kind, name, layer, expert, depth, rows, cols, role } = expected
  const allowed = ALLOWED_TYPES[format][role]
  if (!allowed.some((type) => TENSOR_TYPES[type] === tensor.type)) {
    throw fault(
      "UNSUPPORTED",
      name,
      `has type ${tensor.type.name}; expected ${allowed.join(", ")}`,
      path,
    )
  }
  const shape = role === "vector" ? [cols] : depth > 1 ? [depth, rows, cols] : [rows, cols]
  if (withoutLeadingOnes(tensor.shape).join() !== withoutLeadingOnes(shape).join()) {
    throw fault(
      "SHAPE",
      name,
      `has the shape [${tensor.shape.join(", ")}]; expected [${shape.join(", ")}] (rows by ` +
        `columns)`,
      path,
    )
  }
  const { type, file, offset, bytes } = tensor
  return {
    kind,
    name,
    layer,
    expert,
    type: type.id,
    rows,
    cols,
    depth,
    file,
    offset,
    bytes,
    scaleFile: 0,
    scaleOffset: 0,
    scaleBytes: 0,
  }
}

/** [1, 1, 4] and [4] are the same: writers differ in how they store vectors and single rows. */
function withoutLeadingOnes(shape: readonly number[]): readonly number[] {
  const first = shape.findIndex((size) => size !== 1)
  return first < 0 ? [] : shape.slice(first)
}

function attachScale(entry: TensorEntry, scale: StoredTensor, path: string): void {
  const shape =
    entry.type === TENSOR_TYPES.F8_E4M3.id
      ? [Math.ceil(entry.rows / FP8_BLOCK), Math.ceil(entry.cols / FP8_BLOCK)]
      : [entry.rows, entry.cols / FP4_GROUP]
  if (scale.type !== TENSOR_TYPES.F8_E8M0)
    throw fault("UNSUPPORTED", scale.name, `has type ${scale.type.name}; expected F8_E8M0`, path)
  if (scale.shape.join() !== shape.join()) {
    throw fault(
      "SHAPE",
      scale.name,
      `has the shape [${scale.shape.join(", ")}]; expected [${shape.join(", ")}] for the weight ` +
        `[${entry.rows}, ${entry.cols}]`,
      path,
    )
  }
  entry.scaleFile = scale.file
  entry.scaleOffset = scale.offset
  entry.scaleBytes = scale.bytes
}

/** Gate and up of one layer (or expert) are read together, so they share a type. */
function checkPairs(tensors: readonly TensorEntry[], path: string): void {
  const gates = new Map<string, TensorEntry>()
  for (const tensor of tensors) {
    const key = `${tensor.layer}.${tensor.expert}`
    if (tensor.kind === "EXPERT_GATE") gates.set(key, tensor)
    const gate = gates.get(key)
    if (tensor.kind === "EXPERT_UP" && gate !== undefined && gate.type !== tensor.type) {
      throw fault(
        "UNSUPPORTED",
        tensor.name,
        `has type ${tensorTypeName(tensor.type)}, but ${gate.name} has ` +
          `${tensorTypeName(gate.type)}; gate and up of a layer must share one`,
        path,
      )
    }
  }
}

/**
 * Tensors of parts that we do not run: prediction blocks, the vision tower and its routing bias.
 */
const IGNORED = /^mtp\.|\.nextn\.|^(aligner|image_|vision)|\.(exp_probs_b_vl\.bias|gate\.bias_vl)$/
/** A hash layer routes by table; some releases still carry the bias that it does not use. */
const LAYER_BIAS = /^(?:blk\.(\d+)\.exp_probs_b\.bias|layers\.(\d+)\.ffn\.gate\.bias)$/
const BLOCK = /^blk\.(\d+)\./

function sortOutRest(
  config: ModelConfig,
  names: readonly string[],
  path: string,
): { ignored: string[]; warnings: string[] } {
  const ignored = names.filter((name) => isIgnored(config, name))
  const extra = names.filter((name) => !isIgnored(config, name))
  if (extra.length > 0) {
    throw new ModelFileError(
      "UNEXPECTED",
      `${listed(
        extra.slice(0, NAMES_SHOWN),
        extra.length,
        "not part of a model of this " + "configuration",
      )}`,
      { path, tensor: extra[0] },
    )
  }
  const unused = ignored.filter((name) => LAYER_BIAS.test(name))
  return {
    ignored,
    warnings: unused.map(
      (name) => `tensor ${name} belongs to a layer that routes by table and is not used`,
    ),
  }
}

function isIgnored(config: ModelConfig, name: string): boolean {
  if (IGNORED.test(name)) return true
  const block = BLOCK.exec(name)
  // A prediction block of a llama.cpp file is an extra layer after the trunk.
  if (
    block !== null &&
    Number(block[1]) >= config.layers &&
    Number(block[1]) < config.layers + config.mtpBlocks
  )
    return true
  const bias = LAYER_BIAS.exec(name)
  return bias !== null && Number(bias[1] ?? bias[2]) < config.hashLayers
}
