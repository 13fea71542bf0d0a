import { expect, test } from "bun:test"
import type { GgufValue } from "./metadata.ts"
import type { ModelFileErrorCode } from "../model-file-error.ts"
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

/** A change that spoils a model, the code of its refusal and words of the message. */
type Refusal = readonly [(model: GgufModel) => void, ModelFileErrorCode, ...string[]]

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

const FAULTY_METADATA: readonly Refusal[] = [
  [drop("attention.compress_ratios"), "MISSING", "compress_ratios", "never guessed"],
  [
    set("attention.compress_ratios", { type: "array", element: "i32", value: [0, 4] }),
    "VALUE",
    "compress_ratios",
    "2 entries",
    "3",
  ],
  [
    set("attention.compress_ratios", { type: "array", element: "i32", value: [0, 4, 64] }),
    "VALUE",
    "layer 2",
    "64",
  ],
  [drop("expert_count"), "MISSING", "deepseek4.expert_count"],
  [set("expert_count", { type: "f32", value: 4.5 }), "VALUE", "expert_count", "4.5"],
  [set("expert_count", { type: "u64", value: 2n ** 63n }), "VALUE", "expert_count"],
  [
    set("expert_count", { type: "array", element: "u64", value: [2n ** 63n] }),
    "VALUE",
    "expert_count",
  ],
  [set("embedding_length", { type: "u32", value: 4294967295 }), "VALUE", "hidden", "4294967295"],
  [set("block_count", { type: "u32", value: 4294967295 }), "VALUE", "block_count"],
  [set("expert_gating_func", { type: "u32", value: 2 }), "UNSUPPORTED", "expert_gating_func"],
  [set("attention.layer_norm_rms_epsilon", { type: "f32", value: NaN }), "VALUE", "normEpsilon"],
  [set("attention.value_length", { type: "u32", value: 64 }), "UNSUPPORTED", "value_length"],
  [
    set("swiglu_clamp_exp", { type: "array", element: "f32", value: [10, Infinity, 10] }),
    "VALUE",
    "SwiGLU",
  ],
  [
    (model) => void model.metadata.set("general.architecture", { type: "string", value: "llama" }),
    "UNSUPPORTED",
    "llama",
  ],
  [
    (model) =>
      void model.metadata.set("tokenizer.ggml.tokens", {
        type: "array",
        element: "string",
        value: ["a"],
      }),
    "VALUE",
    "1 entries",
    "32",
  ],
]

test("faulty metadata is refused by key", async () => {
  for (const [change, code, ...words] of FAULTY_METADATA)
    await expectRefusal(changed(change), code, ...words)
})

const ATTN_Q_A = "blk.1.attn_q_a.weight"

const FAULTY_TENSORS: readonly Refusal[] = [
  [
    (model) => {
      model.tensors = model.tensors.filter((tensor) => tensor.name !== ATTN_Q_A)
    },
    "MISSING",
    "1 tensor is missing",
    ATTN_Q_A,
  ],
  [
    (model) => {
      model.tensors = model.tensors.filter(({ name: each }) => !each.startsWith("blk.2."))
    },
    "MISSING",
    "28 tensors are missing",
    "blk.2.hc_attn_fn.weight",
  ],
  [
    (model) =>
      void model.tensors.push({
        name: "blk.0.attn_q.weight",
        type: TENSOR_TYPES.F32,
        shape: [4],
      }),
    "UNEXPECTED",
    "blk.0.attn_q.weight",
  ],
  [
    (model) =>
      void model.tensors.push({
        name: "blk.7.attn_norm.weight",
        type: TENSOR_TYPES.F32,
        shape: [4],
      }),
    "UNEXPECTED",
    "blk.7.attn_norm.weight",
  ],
  [reshape(ATTN_Q_A, [256, 128]), "SHAPE", ATTN_Q_A, "[256, 128]", "[128, 256]"],
  [
    reshape("blk.1.ffn_up_exps.weight", [3, 256, 256]),
    "SHAPE",
    "blk.1.ffn_up_exps.weight",
    "[4, 256, 256]",
  ],
  [retype(ATTN_Q_A, "IQ2_XXS"), "UNSUPPORTED", ATTN_Q_A, "IQ2_XXS", "F32, F16, BF16, Q8_0"],
  [retype("output_norm.weight", "Q8_0"), "UNSUPPORTED", "output_norm.weight", "Q8_0"],
  [retype("blk.0.ffn_gate_tid2eid.weight", "F32"), "UNSUPPORTED", "tid2eid", "I32, I64"],
  [
    retype("blk.2.ffn_gate_exps.weight", "Q8_0"),
    "UNSUPPORTED",
    "blk.2.ffn_up_exps.weight",
    "gate and up",
  ],
]

test("missing, extra, misshapen and mistyped tensors are refused by name", async () => {
  for (const [change, code, ...words] of FAULTY_TENSORS)
    await expectRefusal(changed(change), code, ...words)
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
