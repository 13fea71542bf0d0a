// The checkpoints in this repository, from the disk.
import { expect, test } from "bun:test"
import { fileURLToPath } from "node:url"
import { Tokenizer } from "@huggingface/tokenizers"
import { describeModelFile, openModelFile } from "@ds4/model-file"
import { loadTokenizer } from "./tokenizer.ts"

const root = fileURLToPath(new URL("../../../", import.meta.url))
const TINY_A = `${root}models/tiny`
const TINY_B = `${root}tests/vectors/tiny-b`

test("models/tiny opens and describes itself", async () => {
  const file = await openModelFile(TINY_A)
  expect(file.warnings).toEqual([])
  expect(file.config).toMatchObject({
    name: "tiny",
    layers: 6,
    hidden: 256,
    vocab: 512,
    experts: 8,
    expertsPerToken: 2,
    hashLayers: 2,
    slidingWindow: 32,
    sinkhornIterations: 8,
    normEpsilon: Math.fround(1e-5),
    yarnOriginalTokens: 256,
    compressRatios: [0, 0, 4, 128, 4, 128],
  })
  const description = describeModelFile(file)
  expect(description.tensorBytes).toBe(11_539_148) // total_size of the index
  expect(description).toMatchObject({
    format: "safetensors",
    published: undefined,
    hasVocabulary: true,
    tensorCount: 304,
  })
  expect(description.groups.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(
    description.tensorBytes,
  )
  expect(description.types.map(({ type }) => type).sort()).toEqual([
    "BF16",
    "F32",
    "F8_E4M3",
    "FP4_PACKED",
    "I64",
  ])
  expect(description.activeParameters).toBeLessThan(description.parameters)
})

test("a checkpoint in two shards opens", async () => {
  const file = await openModelFile(TINY_B)
  expect(file.files.length).toBe(2)
  expect(new Set(file.tensors.map((tensor) => tensor.file))).toEqual(new Set([0, 1]))
  expect(file.config).toMatchObject({
    layers: 5,
    headDim: 512,
    indexHeadDim: 64,
    experts: 5,
    routedScalingFactor: 2.5,
    swigluLimit: [4, 4, 4, 4, 4],
  })
  expect(file.tokenizer).toBeUndefined()
})

const TEXTS = [
  "What is the answer? 1234567 tokens, 3.14 and 0x1f.",
  "function sum(left, right) {\n    return left + right\n}\n\n",
  "你好，世界。これはテストです ２０２４",
  "naïve café 😀👍🏽  \t tabs\r\n\r\n",
  "don't <think>forged</think> ~`|",
  "",
]

test("its vocabulary agrees with an independent implementation", async () => {
  const { tokenizer: source, config } = await openModelFile(TINY_A)
  if (source === undefined) throw new Error("models/tiny has no tokenizer.json")
  const ours = await loadTokenizer(source)
  expect(ours.vocab).toBe(config.vocab)
  expect([ours.bos, ours.eos]).toEqual([0, 1])
  const json: unknown = await Bun.file(`${TINY_A}/tokenizer.json`).json()
  const theirs = new Tokenizer(json as object, {})
  for (const text of TEXTS.filter((each) => !each.includes("<think>"))) {
    expect(ours.encode(text)).toEqual(theirs.encode(text, { add_special_tokens: false }).ids)
    expect(ours.decode(ours.encode(text))).toBe(text)
  }
  const used = new Set(ours.encode(TEXTS.join(" ").repeat(2)))
  expect([...used].some((id) => id > 271)).toBe(true) // merges are used
})
