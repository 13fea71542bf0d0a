import { expect, test } from "bun:test"
import { openModelFile } from "../open-model-file.ts"
import { readSafetensorsHeader } from "./header.ts"
import { scanJson } from "./json.ts"
import { memoryFiles, utf8 } from "../testing/memory-files.ts"
import { expectRefusal } from "../testing/refusal.ts"
import {
  SMALL_CONFIG,
  checkpoint,
  checkpointFiles,
  type Checkpoint,
} from "../testing/small-models.ts"

/**
 * A file with this header text, padded to `dataBytes` of data; `length` overrides the length field.
 */
function file(header: string, dataBytes = 0, length?: bigint): Uint8Array {
  const json = utf8(header)
  const bytes = new Uint8Array(8 + json.length + dataBytes)
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true)
  bytes.set(json, 8)
  return bytes
}
const read = async (bytes: Uint8Array) =>
  readSafetensorsHeader(await memoryFiles(new Map([["f", bytes]])).open("f"))
const entry = (dtype: string, shape: number[], begin: number, end: number): string =>
  JSON.stringify({ dtype, shape, data_offsets: [begin, end] })

test("a header gives names, shapes and absolute places", async () => {
  const header = await read(
    file(
      `{"__metadata__":{"format":"pt"},"b":${entry("F32", [2, 2], 6, 22)},"a":` +
        `${entry("BF16", [3], 0, 6)}}   `,
      22,
    ),
  )
  expect(
    header.entries.map(({ name, dtype, shape, offset, bytes }) => ({
      name,
      dtype,
      shape,
      at: offset - header.dataBegin,
      bytes,
    })),
  ).toEqual([
    { name: "b", dtype: "F32", shape: [2, 2], at: 6, bytes: 16 },
    { name: "a", dtype: "BF16", shape: [3], at: 0, bytes: 6 },
  ])
  expect([...header.metadata]).toEqual([["format", "pt"]])
})

test("a header that cannot be is refused before it is read", async () => {
  await expectRefusal(read(new Uint8Array(7)), "FORMAT", "7 bytes")
  await expectRefusal(read(file("{}", 0, 2n ** 63n)), "RANGE", "9223372036854775808", "at most 2")
  await expectRefusal(read(file("{}", 0, 3n)), "RANGE", "header of 3 bytes")
  for (const text of ["", "{", "[]", "null", "7", '{"a":}', "\xff", "[".repeat(100000)])
    await expectRefusal(read(file(text)), "FORMAT")
  await expectRefusal(read(new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0, 0xff])), "FORMAT", "not JSON")
})

test("faulty entries name the tensor, what was expected and what came", async () => {
  await expectRefusal(read(file('{"t":7}')), "FORMAT", "tensor t")
  await expectRefusal(
    read(file(`{"t":${entry("F4", [1], 0, 8)}}`, 8)),
    "UNSUPPORTED",
    "tensor t",
    "F4",
    "BF16",
  )
  await expectRefusal(
    read(file(`{"t":${entry("constructor", [1], 0, 8)}}`, 8)),
    "UNSUPPORTED",
    "constructor",
  )
  await expectRefusal(read(file(`{"t":${entry("F32", [-1], 0, 4)}}`, 4)), "SHAPE", "[-1]")
  await expectRefusal(read(file(`{"t":${entry("F32", [1.5], 0, 6)}}`, 6)), "SHAPE", "1.5")
  await expectRefusal(
    read(file(`{"t":${entry("F32", [2 ** 53], 0, 4)}}`, 4)),
    "SHAPE",
    String(2 ** 53),
  )
  await expectRefusal(
    read(file(`{"t":${entry("F32", [2 ** 40, 2 ** 40], 0, 4)}}`, 4)),
    "SHAPE",
    "tensor t has 4 bytes",
  )
  await expectRefusal(
    read(file(`{"t":${entry("F32", [2], 0, 4)}}`, 4)),
    "SHAPE",
    "4 bytes",
    "needs 8",
  )
  await expectRefusal(
    read(file('{"t":{"dtype":"F32","shape":[1],"data_offsets":[0]}}', 4)),
    "FORMAT",
    "data_offsets [0]",
  )
  await expectRefusal(read(file('{"__metadata__":{"a":1}}')), "FORMAT", "__metadata__.a")
})

test("data must be covered once, from beginning to end", async () => {
  const two = (begin: number, dataBytes: number): Promise<unknown> =>
    read(
      file(
        `{"a":${entry("F32", [2], 0, 8)},"b":${entry("F32", [2], begin, begin + 8)}}`,
        dataBytes,
      ),
    )
  await two(8, 16)
  await expectRefusal(two(4, 12), "RANGE", "tensor b", "overlaps a")
  await expectRefusal(two(12, 20), "RANGE", "tensor b", "leaves a gap after a")
  await expectRefusal(two(8, 15), "RANGE", "the file is cut off")
  await expectRefusal(two(8, 17), "RANGE", "belong to no tensor")
  await expectRefusal(two(0, 8), "RANGE", "overlaps")
})

test("a key twice is refused, which JSON.parse alone would hide", async () => {
  await expectRefusal(
    read(file(`{"a":${entry("F32", [1], 0, 4)},"\\u0061":${entry("I32", [1], 0, 4)}}`, 4)),
    "UNEXPECTED",
    '"a" twice',
  )
  expect(
    scanJson('{"a":{"x":1},"b":[{"x":1},{"x":"y\\"}{\\\\"}], "c" : "a"}').duplicateKey,
  ).toBeUndefined()
  expect(scanJson('{"a":{"x":1,"y":[{"x":2}],"x":3}}').duplicateKey).toBe("x")
  expect(JSON.parse('{"__proto__":1}')).toBeDefined()
  expect(scanJson('{"__proto__":1,"__proto__":2}').duplicateKey).toBe("__proto__")
})

const open = (
  model: Checkpoint,
  change: (files: ReturnType<typeof checkpointFiles>) => void = () => undefined,
) => {
  const files = checkpointFiles(model, "m")
  change(files)
  return openModelFile("m", memoryFiles(files))
}
function changed(change: (model: Checkpoint) => void): Promise<unknown> {
  const model = checkpoint()
  change(model)
  return open(model)
}

test(
  "a folder gives the configuration that it was written from, and every tensor with its " +
    "scales",
  async () => {
    const opened = await open(checkpoint())
    expect(opened.config).toEqual({ ...SMALL_CONFIG, name: "m" })
    expect(opened.tensors.filter(({ kind }) => kind === "EXPERT_UP").length).toBe(3 * 4)
    expect(
      opened.tensors.find(({ name }) => name === "layers.2.ffn.experts.3.w2.weight"),
    ).toMatchObject({
      kind: "EXPERT_DOWN",
      layer: 2,
      expert: 3,
      depth: 1,
      rows: 256,
      cols: 256,
      type: 1001,
      bytes: 256 * 128,
      scaleBytes: 256 * 8,
    })
    expect(opened.tensors.find(({ name }) => name === "layers.0.attn.wq_b.weight")).toMatchObject({
      type: 1000,
      rows: 256,
      cols: 128,
      scaleBytes: 2,
    })
    expect(opened.tokenizer).toBeUndefined()
    const single = checkpoint(SMALL_CONFIG, 1)
    for (const shard of single.shards) shard.name = "model.safetensors"
    const alone = await open(single, (files) => void files.delete("m/model.safetensors.index.json"))
    expect(alone.tensors.length).toBe(opened.tensors.length)
  },
)

test("other spellings of config.json mean the same", async () => {
  const {
    rope_scaling: scaling,
    rope_theta: theta,
    compress_rope_theta: compressed,
    ...rest
  } = checkpoint().config
  const parameters = {
    main: { rope_theta: theta, rope_type: "default" },
    compress: { ...(scaling as object), rope_type: "yarn", rope_theta: compressed },
  }
  const nested = {
    ...checkpoint(),
    config: { ...rest, rope_parameters: parameters, unknown_key: { a: 1 }, dspark_layers: 3 },
  }
  expect((await open(nested)).config).toEqual({ ...SMALL_CONFIG, name: "m" })
})

test("faulty configurations are refused by key", async () => {
  const config = (values: Record<string, unknown>) =>
    changed((model) => Object.assign(model.config, values))
  await expectRefusal(
    config({ compress_ratios: undefined }),
    "MISSING",
    "compress_ratios",
    "never guessed",
  )
  await expectRefusal(config({ compress_ratios: 4 }), "VALUE", "compress_ratios")
  await expectRefusal(config({ compress_ratios: [0, 4] }), "VALUE", "2 entries")
  await expectRefusal(config({ swiglu_limit: undefined }), "MISSING", "swiglu_limit")
  await expectRefusal(config({ swiglu_limit: "10" }), "VALUE", "swiglu_limit", '"10"')
  await expectRefusal(config({ hidden_size: null }), "MISSING", "hidden_size")
  await expectRefusal(config({ n_routed_experts: 1e9 }), "VALUE", "experts", "1000000000")
  await expectRefusal(config({ num_hidden_layers: 1e9 }), "VALUE", "num_hidden_layers")
  await expectRefusal(config({ num_experts_per_tok: 5 }), "VALUE", "expertsPerToken is 5")
  await expectRefusal(config({ scoring_func: "sigmoid" }), "UNSUPPORTED", "sigmoid")
  await expectRefusal(
    config({ quantization_config: { weight_block_size: [64, 64] } }),
    "UNSUPPORTED",
    "[64,64]",
  )
  await expectRefusal(config({ tie_word_embeddings: true }), "UNSUPPORTED", "tie_word_embeddings")
  await expectRefusal(
    config({ rope_scaling: { type: "linear", factor: 16 } }),
    "UNSUPPORTED",
    "linear",
  )
  await expectRefusal(config({ rope_scaling: [] }), "VALUE", "rope_scaling")
})

test("a folder that disagrees with its index is refused", async () => {
  const model = checkpoint()
  const index = "m/model.safetensors.index.json"
  const weightMap = Object.fromEntries(
    model.shards.flatMap(({ name, tensors }) =>
      tensors.map((tensor): [string, string] => [tensor.name, name]),
    ),
  )
  const withMap = (map: Record<string, unknown>) =>
    open(model, (files) => void files.set(index, utf8(JSON.stringify({ weight_map: map }))))
  await expectRefusal(
    open(model, (files) => void files.delete("m/model-2.safetensors")),
    "MISSING",
    "model-2.safetensors",
  )
  await expectRefusal(
    open(model, (files) => void files.delete("m/config.json")),
    "MISSING",
    "config.json",
  )
  await expectRefusal(
    open(model, (files) => void files.delete(index)),
    "MISSING",
    "model.safetensors.index.json",
  )
  await expectRefusal(
    withMap({ ...weightMap, "norm.weight": "model-2.safetensors" }),
    "UNEXPECTED",
    "norm.weight",
    "model-2.safetensors",
  )
  await expectRefusal(
    withMap({ ...weightMap, "extra.weight": "model-2.safetensors" }),
    "MISSING",
    "extra.weight",
    "does not hold it",
  )
  const { "norm.weight": _, ...without } = weightMap
  await expectRefusal(withMap(without), "UNEXPECTED", "norm.weight", "does not list")
  for (const path of [
    "../secret.safetensors",
    "/etc/x.safetensors",
    "a/b.safetensors",
    "model.bin",
    7,
  ]) {
    await expectRefusal(withMap({ ...weightMap, "norm.weight": path }), "FORMAT", "plain name")
  }
  await expectRefusal(
    open(model, (files) => void files.set(index, utf8("{}"))),
    "FORMAT",
    "weight_map",
  )
  const wrongTotal = await open(
    model,
    (files) =>
      void files.set(
        index,
        utf8(JSON.stringify({ metadata: { total_size: 5 }, weight_map: weightMap })),
      ),
  )
  expect(wrongTotal.warnings.join()).toContain("5 bytes")
})

test("missing, misshapen and mistyped tensors and scales are refused by name", async () => {
  const edit = (name: string, fields: Record<string, unknown> | undefined) =>
    changed((model) => {
      for (const shard of model.shards)
        shard.tensors = shard.tensors.flatMap((tensor) =>
          tensor.name !== name ? [tensor] : fields === undefined ? [] : [{ ...tensor, ...fields }],
        )
    })
  const weight = "layers.1.attn.wo_a.weight"
  const scale = "layers.1.attn.wo_a.scale"
  await expectRefusal(edit(weight, undefined), "MISSING", weight)
  await expectRefusal(edit(scale, undefined), "MISSING", scale)
  await expectRefusal(edit(scale, { shape: [2, 1] }), "SHAPE", scale, "[2, 1]", "[1, 1]")
  await expectRefusal(edit(scale, { dtype: "BF16" }), "UNSUPPORTED", scale, "BF16", "F8_E8M0")
  await expectRefusal(
    edit(weight, { shape: [64, 128] }),
    "SHAPE",
    weight,
    "[64, 128]",
    "[128, 128]",
  )
  await expectRefusal(edit(weight, { dtype: "I8" }), "UNSUPPORTED", weight)
  await expectRefusal(
    edit("layers.0.ffn.experts.2.w3.scale", { shape: [256, 4] }),
    "SHAPE",
    "layers.0.ffn.experts.2.w3.scale",
    "[256, 8]",
  )
  await expectRefusal(
    edit("layers.0.ffn.gate.tid2eid", { dtype: "F32" }),
    "UNSUPPORTED",
    "tid2eid",
    "I32, I64",
  )
  await expectRefusal(
    edit("layers.0.ffn.experts.2.w1.weight", { dtype: "F16", shape: [256, 256] }),
    "UNSUPPORTED",
    "layers.0.ffn.experts.2.w3.weight",
    "FP4_PACKED",
    "F16",
  )
  await expectRefusal(
    edit("layers.0.ffn.experts.2.w2.weight", { dtype: "BF16", shape: [256, 256] }),
    "UNEXPECTED",
    "layers.0.ffn.experts.2.w2.scale",
  )
})
