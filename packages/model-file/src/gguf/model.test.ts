import { expect, test } from "bun:test"
import type { GgufValue } from "./metadata.ts"
import { openModelFile } from "../open-model-file.ts"
import { TENSOR_TYPES } from "../tensor-types.ts"
import { memoryFiles } from "../testing/memory-files.ts"
import { expectRefusal } from "../testing/refusal.ts"
import {
  SMALL_CONFIG,
  defaultType,
  ggufFile,
  ggufModel,
  type GgufModel,
} from "../testing/small-models.ts"

const open = (model: GgufModel) =>
  openModelFile("m.gguf", memoryFiles(new Map([["m.gguf", ggufFile(model)]])))

function changed(change: (model: GgufModel) => void): Promise<unknown> {
  const model = ggufModel()
  change(model)
  return open(model)
}
const key = (name: string): string => `deepseek4.${name}`
const set = (name: string, value: GgufValue) => (model: GgufModel) =>
  void model.metadata.set(key(name), value)
const drop = (name: string) => (model: GgufModel) => void model.metadata.delete(key(name))
const retype = (name: string, type: keyof typeof TENSOR_TYPES) => (model: GgufModel) => {
  model.tensors = model.tensors.map((tensor) =>
    tensor.name === name ? { ...tensor, type: TENSOR_TYPES[type] } : tensor,
  )
}
const reshape = (name: string, shape: number[]) => (model: GgufModel) => {
  model.tensors = model.tensors.map((tensor) =>
    tensor.name === name ? { ...tensor, shape } : tensor,
  )
}

test("both dialects give the configuration that they were written from", async () => {
  expect((await open(ggufModel(SMALL_CONFIG, defaultType, "mainline"))).config).toEqual(
    SMALL_CONFIG,
  )
  const antirez = ggufModel(SMALL_CONFIG, defaultType, "antirez")
  expect(antirez.metadata.has(key("expert_gating_func"))).toBe(false)
  expect(antirez.metadata.has(key("swiglu_clamp_shexp"))).toBe(false)
  expect((await open(antirez)).config).toEqual(SMALL_CONFIG) // the shared clamp is the routed one
})

test("llama.cpp's scalars, longer lists and repeated numbers mean the same", async () => {
  const model = ggufModel()
  set("swiglu_clamp_exp", { type: "f32", value: 10 })(model)
  set("swiglu_clamp_shexp", { type: "f32", value: 7 })(model)
  set("attention.compress_ratios", { type: "array", element: "u32", value: [0, 4, 128, 0] })(model)
  set("attention.head_count", { type: "array", element: "i32", value: [2, 2, 2] })(model)
  expect((await open(model)).config).toEqual({ ...SMALL_CONFIG, sharedSwigluLimit: [7, 7, 7] })
})

test("the table holds every role once, experts stacked", async () => {
  const { tensors } = await open(ggufModel())
  expect(tensors.length).toBe(6 + 3 * 24 + 2 * 4 + 6)
  expect(tensors.find(({ name }) => name === "blk.1.ffn_down_exps.weight")).toMatchObject({
    kind: "EXPERT_DOWN",
    layer: 1,
    expert: -1,
    depth: 4,
    rows: 256,
    cols: 256,
    type: 39,
    bytes: 4 * 256 * 8 * 17,
    scaleBytes: 0,
  })
  expect(tensors.find(({ name }) => name === "output_norm.weight")).toMatchObject({
    kind: "OUTPUT_NORM",
    layer: -1,
    depth: 1,
    rows: 1,
    cols: 256,
  })
})

test("faulty metadata is refused by key", async () => {
  await expectRefusal(
    changed(drop("attention.compress_ratios")),
    "MISSING",
    "compress_ratios",
    "never guessed",
  )
  await expectRefusal(
    changed(set("attention.compress_ratios", { type: "array", element: "i32", value: [0, 4] })),
    "VALUE",
    "compress_ratios",
    "2 entries",
    "3",
  )
  await expectRefusal(
    changed(set("attention.compress_ratios", { type: "array", element: "i32", value: [0, 4, 64] })),
    "VALUE",
    "layer 2",
    "64",
  )
  await expectRefusal(changed(drop("expert_count")), "MISSING", "deepseek4.expert_count")
  await expectRefusal(
    changed(set("expert_count", { type: "f32", value: 4.5 })),
    "VALUE",
    "expert_count",
    "4.5",
  )
  await expectRefusal(
    changed(set("expert_count", { type: "u64", value: 2n ** 63n })),
    "VALUE",
    "expert_count",
  )
  await expectRefusal(
    changed(set("expert_count", { type: "array", element: "u64", value: [2n ** 63n] })),
    "VALUE",
    "expert_count",
  )
  await expectRefusal(
    changed(set("embedding_length", { type: "u32", value: 4294967295 })),
    "VALUE",
    "hidden",
    "4294967295",
  )
  await expectRefusal(
    changed(set("block_count", { type: "u32", value: 4294967295 })),
    "VALUE",
    "block_count",
  )
  await expectRefusal(
    changed(set("expert_gating_func", { type: "u32", value: 2 })),
    "UNSUPPORTED",
    "expert_gating_func",
  )
  await expectRefusal(
    changed(set("attention.layer_norm_rms_epsilon", { type: "f32", value: NaN })),
    "VALUE",
    "normEpsilon",
  )
  await expectRefusal(
    changed(set("attention.value_length", { type: "u32", value: 64 })),
    "UNSUPPORTED",
    "value_length",
  )
  await expectRefusal(
    changed(set("swiglu_clamp_exp", { type: "array", element: "f32", value: [10, Infinity, 10] })),
    "VALUE",
    "SwiGLU",
  )
  await expectRefusal(
    changed(
      (model) =>
        void model.metadata.set("general.architecture", { type: "string", value: "llama" }),
    ),
    "UNSUPPORTED",
    "llama",
  )
  await expectRefusal(
    changed(
      (model) =>
        void model.metadata.set("tokenizer.ggml.tokens", {
          type: "array",
          element: "string",
          value: ["a"],
        }),
    ),
    "VALUE",
    "1 entries",
    "32",
  )
})

test("missing, extra, misshapen and mistyped tensors are refused by name", async () => {
  const name = "blk.1.attn_q_a.weight"
  await expectRefusal(
    changed((model) => {
      model.tensors = model.tensors.filter((tensor) => tensor.name !== name)
    }),
    "MISSING",
    "1 tensor is missing",
    name,
  )
  await expectRefusal(
    changed((model) => {
      model.tensors = model.tensors.filter(({ name: each }) => !each.startsWith("blk.2."))
    }),
    "MISSING",
    "28 tensors are missing",
    "blk.2.hc_attn_fn.weight",
  )
  await expectRefusal(
    changed(
      (model) =>
        void model.tensors.push({
          name: "blk.0.attn_q.weight",
          type: TENSOR_TYPES.F32,
          shape: [4],
        }),
    ),
    "UNEXPECTED",
    "blk.0.attn_q.weight",
  )
  await expectRefusal(
    changed(
      (model) =>
        void model.tensors.push({
          name: "blk.7.attn_norm.weight",
          type: TENSOR_TYPES.F32,
          shape: [4],
        }),
    ),
    "UNEXPECTED",
    "blk.7.attn_norm.weight",
  )
  await expectRefusal(changed(reshape(name, [256, 128])), "SHAPE", name, "[256, 128]", "[128, 256]")
  await expectRefusal(
    changed(reshape("blk.1.ffn_up_exps.weight", [3, 256, 256])),
    "SHAPE",
    "blk.1.ffn_up_exps.weight",
    "[4, 256, 256]",
  )
  await expectRefusal(
    changed(retype(name, "IQ2_XXS")),
    "UNSUPPORTED",
    name,
    "IQ2_XXS",
    "F32, F16, BF16, Q8_0",
  )
  await expectRefusal(
    changed(retype("output_norm.weight", "Q8_0")),
    "UNSUPPORTED",
    "output_norm.weight",
    "Q8_0",
  )
  await expectRefusal(
    changed(retype("blk.0.ffn_gate_tid2eid.weight", "F32")),
    "UNSUPPORTED",
    "tid2eid",
    "I32, I64",
  )
  await expectRefusal(
    changed(retype("blk.2.ffn_gate_exps.weight", "Q8_0")),
    "UNSUPPORTED",
    "blk.2.ffn_up_exps.weight",
    "gate and up",
  )
})

test("prediction blocks, the vision tower and unused biases are set aside and listed", async () => {
  const model = ggufModel()
  set("block_count", { type: "u32", value: 4 })(model)
  set("nextn_predict_layers", { type: "u32", value: 1 })(model)
  const small = (name: string) => ({ name, type: TENSOR_TYPES.F32, shape: [4] })
  const extra = [
    "blk.3.nextn.eh_proj.weight",
    "blk.3.attn_norm.weight",
    "mtp.0.e_proj.weight",
    "blk.1.exp_probs_b_vl.bias",
    "blk.0.exp_probs_b.bias",
  ]
  model.tensors.push(...extra.map(small))
  const opened = await open(model)
  expect(opened.config).toEqual({ ...SMALL_CONFIG, mtpBlocks: 1 })
  expect(opened.ignoredTensors).toEqual(extra)
  expect(opened.warnings.join()).toContain("blk.0.exp_probs_b.bias")
})

test("a vector may be stored as a row, and a single value as any number of ones", async () => {
  const opened = await changed((model) => {
    reshape("output_norm.weight", [1, 256])(model)
    reshape("output_hc_scale.weight", [1, 1])(model)
  })
  expect(opened).toMatchObject({ format: "gguf" })
})

test("what is no model at all is refused", async () => {
  await expectRefusal(openModelFile("nowhere", memoryFiles(new Map())), "NOT_FOUND", "nowhere")
  await expectRefusal(openModelFile("/nowhere/at all.gguf"), "NOT_FOUND")
})

const shard = (
  model: GgufModel,
  index: number,
  count: number,
  from: number,
  to: number,
  extra: [string, GgufValue][] = [],
) => {
  const u16 = (value: number): GgufValue => ({ type: "u16", value })
  const split: [string, GgufValue][] = [
    ["split.no", u16(index)],
    ["split.count", u16(count)],
    ["split.tensors.count", { type: "i32", value: model.tensors.length }],
  ]
  return ggufFile({
    metadata: new Map([...(index === 0 ? model.metadata : []), ...split, ...extra]),
    tensors: model.tensors.slice(from, to),
  })
}
const shardName = (index: number, count = 3): string => `m-0000${index + 1}-of-0000${count}.gguf`

test("a split set opens from its first file", async () => {
  const model = ggufModel()
  const alignment: [string, GgufValue][] = [["general.alignment", { type: "u32", value: 4096 }]]
  const files = new Map([
    [shardName(0), shard(model, 0, 3, 0, 40)],
    [shardName(1), shard(model, 1, 3, 40, 41, alignment)],
    [shardName(2), shard(model, 2, 3, 41, 999)],
  ])
  const opened = await openModelFile(shardName(0), memoryFiles(files))
  expect(opened.files.map(({ path }) => path)).toEqual([0, 1, 2].map((index) => shardName(index)))
  expect(
    opened.tensors
      .map(({ file }) => file)
      .reduce((counts: number[], file) => ((counts[file] = (counts[file] ?? 0) + 1), counts), []),
  ).toEqual([40, 1, model.tensors.length - 41])
  expect(opened.config).toEqual(SMALL_CONFIG)
})

test("broken split sets are refused, naming the shard", async () => {
  const model = ggufModel()
  const first = shard(model, 0, 2, 0, 40)
  const second = shard(model, 1, 2, 40, 999)
  const name = (index: number): string => shardName(index, 2)
  const opening = (path: string, files: [string, ReturnType<typeof shard>][]) =>
    openModelFile(path, memoryFiles(new Map(files)))
  await expectRefusal(opening(name(0), [[name(0), first]]), "MISSING", name(1), "shard 2 of 2")
  await expectRefusal(
    opening(name(1), [
      [name(0), first],
      [name(1), second],
    ]),
    "FORMAT",
    "open the first",
    name(0),
  )
  await expectRefusal(opening("m.gguf", [["m.gguf", first]]), "FORMAT", "-00001-of-00002.gguf")
  await expectRefusal(
    opening(name(0), [
      [name(0), first],
      [name(1), first],
    ]),
    "FORMAT",
    name(1),
    "split.no is 0; expected 1",
  )
  await expectRefusal(
    opening(name(0), [
      [name(0), first],
      [name(1), shard(model, 1, 2, 41, 999)],
    ]),
    "MISSING",
    "split.tensors.count",
  )
  const repeated = {
    ...model,
    tensors: [...model.tensors.slice(0, 40), ...model.tensors.slice(39, -1)],
  }
  await expectRefusal(
    opening(name(0), [
      [name(0), first],
      [name(1), shard(repeated, 1, 2, 40, 999)],
    ]),
    "UNEXPECTED",
    "appears in two shards",
  )
  await expectRefusal(
    opening(name(0), [
      [name(0), shard(model, 0, 2, 0, 40, [["split.count", { type: "u32", value: 70000 }]])],
    ]),
    "RANGE",
    "70000",
  )
})
