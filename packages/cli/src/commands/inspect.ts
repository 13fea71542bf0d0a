import type { EnginePlan } from "@ds4/engine"
import {
  describeModelFile,
  tensorTypeName,
  type ModelDescription,
  type ModelFile,
} from "@ds4/model-file"
import { modelTokenizer } from "@ds4/tokenizer"
import { defineCommand } from "../command.ts"
import { EXIT } from "../errors.ts"
import { formatBytes, formatCount } from "@ds4/progress"
import { memoryText } from "../memory-text.ts"
import { modelPath } from "../model-path.ts"
import { openModel } from "../open-model.ts"

interface TokenizerFacts {
  readonly vocab: number
  readonly specialTokens: number
  readonly bos: number
  readonly eos: number
}

async function tokenizerFacts(file: ModelFile): Promise<TokenizerFacts | undefined> {
  const tokenizer = await modelTokenizer(file)
  if (tokenizer === undefined) return undefined
  const { vocab, special, bos, eos } = tokenizer
  return { vocab, specialTokens: special.size, bos, eos }
}

function shapeLines({ config }: ModelDescription): string[] {
  return [
    `  layers ${config.layers} (${config.hashLayers} routed by hash), hidden ${config.hidden}, ` +
      `vocab ${config.vocab}, streams ${config.streams}`,
    `  attention ${config.heads} heads of ${config.headDim} (${config.ropeDim} rotated), window ` +
      `${config.slidingWindow}, query rank ${config.qLoraRank}`,
    `  compression ratios ${[...new Set(config.compressRatios)].join(", ")}; indexer ` +
      `${config.indexHeads} heads of ${config.indexHeadDim}, top ${config.indexTopK}`,
    `  experts ${config.experts} of intermediate size ${config.moeIntermediateSize}, ` +
      `${config.expertsPerToken} per token and one shared; context ${config.contextTokens}`,
  ]
}

/** The engine's own plan for this machine; undefined where there is no library to ask. */
async function enginePlan(file: ModelFile): Promise<EnginePlan | undefined> {
  const { machine, planEngine } = await import("@ds4/engine")
  try {
    machine()
  } catch {
    return undefined
  }
  return await planEngine(file)
}

/** A line with the sizes that decide where the experts run, and the engine's decision. */
function memoryLine({ groups }: ModelDescription, plan: EnginePlan | undefined): string {
  const bytes = (isExpert: boolean): number =>
    groups
      .filter(({ group }) => (group === "routed experts") === isExpert)
      .reduce((sum, each) => sum + each.bytes, 0)
  const [experts, rest] = [formatBytes(bytes(true)), formatBytes(bytes(false))]
  const sizes = `  routed experts ${experts}, the rest ${rest}`
  if (plan === undefined) return `${sizes}; ./ds4 build makes the library that says where they run`
  const available =
    plan.availableBytes === undefined
      ? ""
      : ` ${formatBytes(plan.availableBytes)} of memory are available:`
  if (plan.place === "gpu") return `${sizes};${available} all of it goes to the GPU`
  return plan.place === "packed"
    ? `${sizes};${available} they can be packed in memory`
    : `${sizes};${available} they are read from the file as they are used (${plan.reason})`
}

function denseLine({ dense }: EnginePlan): string {
  return dense.place !== "mapped"
    ? `  dense matrices take ${formatBytes(dense.bytes)} packed in memory`
    : `  dense matrices are read from the file as they are used (${dense.reason})`
}

function summary(
  description: ModelDescription,
  tokenizer: TokenizerFacts | undefined,
  plan: EnginePlan | undefined,
): string {
  const { groups, types, warnings, ignoredTensors, files } = description
  const width = Math.max(...groups.map(({ group }) => group.length))
  return [
    `${description.name}: ${description.format}, ` +
      `${files.length === 1 ? "one file" : `${files.length} files`}, ` +
      `${formatBytes(description.fileBytes)}`,
    `  ${formatCount(description.parameters)} parameters, ` +
      `${formatCount(description.activeParameters)} used by one token; ` +
      `${description.tensorCount} tensors`,
    ...shapeLines(description),
    memoryLine(description, plan),
    ...(plan === undefined ? [] : [denseLine(plan), `  ${memoryText(plan.memory)}`]),
    tokenizer === undefined
      ? "  no vocabulary"
      : `  vocabulary of ${tokenizer.vocab}, ${tokenizer.specialTokens} control tokens, begins ` +
        `with ${tokenizer.bos}, ends with ${tokenizer.eos}`,
    "groups:",
    ...groups.map(
      ({ group, tensors, bytes, types: used }) =>
        `  ${group.padEnd(width)}  ${formatBytes(bytes).padStart(10)}  ` +
        `${String(tensors).padStart(6)} tensors  ${Object.keys(used).join(" ")}`,
    ),
    "types:",
    ...types.map(
      ({ type, tensors, bytes }) =>
        `  ${type.padEnd(width)}  ${formatBytes(bytes).padStart(10)}  ` +
        `${String(tensors).padStart(6)} tensors`,
    ),
    ...(ignoredTensors.length === 0
      ? []
      : [`not used: ${ignoredTensors.length} tensors, such as ${ignoredTensors[0] ?? ""}`]),
    ...warnings.map((warning) => `warning: ${warning}`),
    "",
  ].join("\n")
}

function tensorLines(file: ModelFile): string {
  const shape = (tensor: ModelFile["tensors"][number]) =>
    [...(tensor.depth > 1 ? [tensor.depth] : []), tensor.rows, tensor.cols].join("×")
  return file.tensors
    .map(
      (tensor) =>
        `${tensor.name}  ${shape(tensor)}  ${tensorTypeName(tensor.type)}  file ${tensor.file} ` +
        `at ${tensor.offset}, ${tensor.bytes} bytes\n`,
    )
    .join("")
}

export const inspect = defineCommand({
  name: "inspect",
  usage: "[FILE] [FLAGS]",
  summary: "shows what a model file holds",
  details:
    "Reads headers only and checks them: missing, misshapen, overlapping and out-of-file " +
    "tensors are errors (exit 3).",
  examples: [
    "ds4 inspect model.gguf",
    "ds4 inspect DeepSeek-V4-Flash/ --tensors",
    "ds4 inspect model.gguf --json",
  ],
  maxPositionals: 1,
  run: async ({ flags, io, positionals }) => {
    const file = await openModel(modelPath(positionals[0] ?? flags.model, io), io)
    const description = describeModelFile(file)
    const tokenizer = await tokenizerFacts(file)
    const plan = await enginePlan(file)
    if (flags.json) {
      const tensors = flags.tensors
        ? {
            tensors: file.tensors.map((tensor) => ({
              ...tensor,
              type: tensorTypeName(tensor.type),
            })),
          }
        : {}
      const report = { schema: "ds4.inspect/2", ...description, tokenizer, plan, ...tensors }
      io.out(`${JSON.stringify(report, undefined, 2)}\n`)
    } else {
      io.out(summary(description, tokenizer, plan))
      if (flags.tensors) io.out(tensorLines(file))
    }
    return EXIT.done
  },
})
