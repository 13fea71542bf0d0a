import { afterAll, expect, test } from "bun:test"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gguf } from "@huggingface/gguf"
import {
  ModelFileError,
  TENSOR_TYPES,
  openModelFile,
  tensorTypeName,
  verifyModelFile,
  type ModelFile,
  type TensorEntry,
} from "@ds4/model-file"
import { loadTokenizer } from "@ds4/tokenizer"
import { nativeConvertRows } from "../convert-rows.ts"
import { quantize, quantizePlan, type QuantizeOptions, type QuantizeProgress } from "./quantize.ts"
import { RECIPES, type RecipeName } from "./recipe.ts"
import { tensorValues } from "../testing/decode-values.ts"

const root = fileURLToPath(new URL("../../../../", import.meta.url))
const SOURCES = { "tiny-a": `${root}models/tiny`, "tiny-b": `${root}tests/vectors/tiny-b` }
const folder = await mkdtemp(join(tmpdir(), "ds4-quantize-"))
afterAll(() => rm(folder, { recursive: true, force: true }))

const sources = {
  "tiny-a": await openModelFile(SOURCES["tiny-a"]),
  "tiny-b": await openModelFile(SOURCES["tiny-b"]),
}
type SourceName = keyof typeof sources

const finished = new Map<string, ModelFile>()

/** The source as a GGUF of these options; each is made once. */
async function made(
  source: SourceName,
  options: Pick<QuantizeOptions, "recipe" | "types">,
): Promise<ModelFile> {
  const name = `${source}-${options.recipe}${options.types === undefined ? "" : "-mixed"}`
  const earlier = finished.get(name)
  if (earlier !== undefined) return earlier
  const path = join(folder, `${name}.gguf`)
  await quantize(sources[source], path, nativeConvertRows, options)
  const file = await openModelFile(path)
  finished.set(name, file)
  return file
}

/**
 * The entries of one role and layer in expert order: one in GGUF, one for each expert in the
 * source.
 */
const entriesOf = (file: ModelFile, of: TensorEntry): TensorEntry[] =>
  file.tensors
    .filter((tensor) => tensor.kind === of.kind && tensor.layer === of.layer)
    .sort((a, b) => a.expert - b.expert)

async function valuesOf(file: ModelFile, entries: readonly TensorEntry[]): Promise<Float32Array> {
  const parts = await Promise.all(entries.map((entry) => tensorValues(file, entry)))
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

const largest = (values: Float32Array): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)

/** Largest difference that storing a value of this tensor as `type` may make. */
function allowedDifference(type: number, value: number, blockPeak: number): number {
  switch (type) {
    case TENSOR_TYPES.F16.id:
      return Math.max(Math.abs(value) * 2 ** -11, 2 ** -25)
    case TENSOR_TYPES.BF16.id:
      return Math.abs(value) * 2 ** -8
    // Half a step of peak/127, and the step itself rounded to f16.
    case TENSOR_TYPES.Q8_0.id:
      return (blockPeak / 127) * 0.5 * 1.01 + blockPeak * 2 ** -10 + 2 ** -24
    default:
      return 0
  }
}

function worstExcess(type: number, before: Float32Array, after: Float32Array): number {
  let worst = 0
  for (let block = 0; block < before.length; block += 32) {
    const peak = largest(before.subarray(block, block + 32))
    for (let i = block; i < Math.min(block + 32, before.length); i++) {
      const was = before[i] ?? Number.NaN
      if (was === after[i]) continue
      const difference = Math.abs((after[i] ?? Number.NaN) - was)
      worst = Math.max(worst, difference - allowedDifference(type, was, peak))
      if (Number.isNaN(difference)) return Infinity
    }
  }
  return worst
}

const names = Object.keys(RECIPES) as RecipeName[]

test.each(
  names.flatMap((recipe) =>
    (["tiny-a", "tiny-b"] as const).map((source) => [source, recipe] as const),
  ),
)(
  "%s as %s holds the same model within the rounding of its types",
  async (source, recipe) => {
    const before = sources[source]
    const after = await made(source, { recipe })
    expect(after.config).toEqual(before.config)
    await verifyModelFile(after)
    for (const tensor of after.tensors) {
      // two layers of experts, most of the values, will do
      if (tensor.kind.startsWith("EXPERT_") && tensor.layer % 3 !== 1) continue
      const was = await valuesOf(before, entriesOf(before, tensor))
      const is = await valuesOf(after, entriesOf(after, tensor))
      expect(is.length).toBe(was.length)
      const excess = worstExcess(tensor.type, was, is)
      if (excess > 0)
        throw new Error(
          `${tensor.name} (${tensorTypeName(tensor.type)}) is off by ${excess} more than its ` +
            `type allows`,
        )
    }
  },
  30_000,
)

test("what can be stored without loss is", async () => {
  const before = sources["tiny-a"]
  const after = await made("tiny-a", { recipe: "lossless" })
  for (const kind of [
    "EXPERT_GATE",
    "EXPERT_DOWN",
    "ATTN_Q_A",
    "TOKEN_EMBD",
    "ROUTER_TABLE",
    "HC_ATTN_FN",
  ]) {
    const tensor = after.tensors.find((each) => each.kind === kind)
    if (tensor === undefined) throw new Error(`no ${kind}`)
    expect(await valuesOf(after, [tensor])).toEqual(
      await valuesOf(before, entriesOf(before, tensor)),
    )
  }
})

test("recipes give the types of their columns", async () => {
  const typesOf = (file: ModelFile): Record<string, string> =>
    Object.fromEntries(file.tensors.map(({ kind, type }) => [kind, tensorTypeName(type)]))
  const mainline = typesOf(await made("tiny-a", { recipe: "mainline" }))
  expect(mainline).toMatchObject({
    TOKEN_EMBD: "BF16",
    OUTPUT: "BF16",
    OUTPUT_NORM: "F32",
    OUTPUT_HC_FN: "F32",
    ATTN_Q_A: "Q8_0",
    ROUTER: "BF16",
    COMPRESSOR_APE: "F32",
    INDEXER_Q_B: "Q8_0",
    INDEXER_PROJ: "BF16",
    EXPERT_GATE: "MXFP4",
    ROUTER_TABLE: "I32",
    SHARED_DOWN: "Q8_0",
  })
  const antirez = typesOf(await made("tiny-a", { recipe: "antirez" }))
  expect(antirez).toMatchObject({
    TOKEN_EMBD: "F16",
    OUTPUT: "Q8_0",
    OUTPUT_HC_FN: "F16",
    ATTN_Q_A: "Q8_0",
    ROUTER: "F16",
    COMPRESSOR_APE: "F16",
    INDEXER_Q_B: "F16",
    INDEXER_PROJ: "F16",
    EXPERT_GATE: "MXFP4",
  })
  const mixed = typesOf(
    await made("tiny-a", {
      recipe: "f16",
      types: { experts: "Q8_0", head: "F32", embedding: "Q8_0" },
    }),
  )
  expect(mixed).toMatchObject({
    TOKEN_EMBD: "Q8_0",
    OUTPUT: "F32",
    ATTN_Q_A: "F16",
    EXPERT_UP: "Q8_0",
  })
})

test("the vocabulary goes along, and both files tokenise alike", async () => {
  const after = await made("tiny-a", { recipe: "mainline" })
  const before = sources["tiny-a"].tokenizer
  if (before === undefined || after.tokenizer === undefined)
    throw new Error("a vocabulary is missing")
  const [old, now] = [await loadTokenizer(before), await loadTokenizer(after.tokenizer)]
  const text = "What is the answer? function sum(left, right) { return 12345 } 你好 <think>"
  expect(now.encode(text)).toEqual(old.encode(text))
  expect(now.special).toEqual(old.special)
  expect([now.vocab, now.bos, now.eos]).toEqual([old.vocab, old.bos, old.eos])
  expect((await made("tiny-b", { recipe: "mainline" })).tokenizer).toBeUndefined()
})

test("another reader of the format sees the same file", async () => {
  const file = await made("tiny-a", { recipe: "mainline" })
  const { metadata, tensorInfos, tensorDataOffset } = await gguf(file.path, {
    allowLocalFile: true,
  })
  const theirs = metadata as Record<string, unknown>
  for (const [key, value] of file.metadata) {
    const read = theirs[key]
    expect([key, typeof read === "bigint" ? Number(read) : read]).toEqual([key, value])
  }
  expect(tensorInfos.length).toBe(file.tensors.length)
  for (const info of tensorInfos) {
    const ours = file.tensors.find(({ name }) => name === info.name)
    if (ours === undefined) throw new Error(`we do not list ${info.name}`)
    const { depth, rows, cols, type, offset } = ours
    const shape = depth > 1 ? [cols, rows, depth] : info.shape.length === 1 ? [cols] : [cols, rows]
    expect({
      shape: info.shape.map(Number),
      type: info.dtype as number,
      offset: Number(tensorDataOffset) + Number(info.offset),
    }).toEqual({ shape, type, offset })
  }
})

test("a GGUF converts to another GGUF", async () => {
  const lossless = await made("tiny-b", { recipe: "lossless" })
  const path = join(folder, "again.gguf")
  await quantize(lossless, path, nativeConvertRows, { recipe: "lossless" })
  expect(Buffer.compare(await Bun.file(path).bytes(), await Bun.file(lossless.path).bytes())).toBe(
    0,
  )
  const q8 = await made("tiny-b", { recipe: "f32" })
  expect(quantizePlan(q8, { recipe: "mainline" })).rejects.toThrow("MXFP4 is made only from")
})

async function failure(action: Promise<unknown>): Promise<unknown> {
  return action.then(
    () => "succeeded",
    (error: unknown) => error,
  )
}

test("whatever fails leaves nothing behind and an old file untouched", async () => {
  const path = join(folder, "kept.gguf")
  await Bun.write(path, "old")
  const before = await readdir(folder)
  const source = sources["tiny-a"]
  const overwrite = true
  expect(await failure(quantize(source, path, nativeConvertRows))).toMatchObject({
    code: "EXISTS",
    message: expect.stringContaining("exists already"),
  })
  expect(
    await failure(
      quantize(source, path, nativeConvertRows, {
        overwrite,
        freeBytes: () => Promise.resolve(10 ** 6),
      }),
    ),
  ).toMatchObject({ code: "IO", message: expect.stringContaining("the disk has 1000000 free") })
  const stop = new AbortController()
  const aborted = quantize(source, path, nativeConvertRows, {
    overwrite,
    signal: stop.signal,
    onProgress: ({ tensorIndex }) => {
      if (tensorIndex === 30) stop.abort(new Error("enough"))
    },
  })
  expect(await failure(aborted)).toMatchObject({ message: "enough" })
  let calls = 0
  const broken = quantize(
    source,
    path,
    (conversion) => {
      if (++calls === 40) throw new Error("a NaN scale in row 3")
      nativeConvertRows(conversion)
    },
    { overwrite },
  )
  const error = await failure(broken)
  expect(error).toBeInstanceOf(ModelFileError)
  expect(error).toMatchObject({
    code: "VALUE",
    message: expect.stringMatching(
      /tensor layers\.\d\.\S+ cannot be converted \(a NaN scale in row 3\)/,
    ),
  })
  expect(await readdir(folder)).toEqual(before)
  expect(await Bun.file(path).text()).toBe("old")
})

test("progress counts up to the whole file", async () => {
  const reports: QuantizeProgress[] = []
  const plan = await quantize(sources["tiny-b"], join(folder, "progress.gguf"), nativeConvertRows, {
    recipe: "q8",
    onProgress: (progress) => void reports.push(progress),
  })
  expect(reports.map(({ tensorIndex }) => tensorIndex)).toEqual(
    plan.tensors.map((_, index) => index),
  )
  expect(
    reports.every(
      (report, i) => i === 0 || report.writtenBytes > (reports[i - 1]?.writtenBytes ?? 0),
    ),
  ).toBe(true)
  expect(plan.fileBytes).toBe((await Bun.file(join(folder, "progress.gguf")).stat()).size)
})
