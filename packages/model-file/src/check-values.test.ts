// Checks that need data: what is looked at when a model opens, and what only verifyModelFile sees.
import { expect, test } from "bun:test"
import { verifyModelFile } from "./check-values.ts"
import { openModelFile } from "./open-model-file.ts"
import { FLASH_CONFIG } from "./published-configs.ts"
import type { TensorTypeName } from "./tensor-types.ts"
import { memoryFiles, type MemoryFile } from "./testing/memory-files.ts"
import { expectRefusal } from "./testing/refusal.ts"
import {
  SMALL_CONFIG,
  checkpoint,
  checkpointFiles,
  defaultType,
  ggufFile,
  ggufModel,
  whole,
} from "./testing/small-models.ts"

const withBytes = (file: MemoryFile, at: number, bytes: number[]): Uint8Array => {
  const copy = whole(file)
  copy.set(bytes, at)
  return copy
}

/** A small GGUF whose `name` has type `type` and holds `bytes` at `at` within the tensor. */
function damaged(name: string, type: TensorTypeName, at: number, bytes: number[]) {
  const related = name.replace("_up_", "_gate_")
  const model = ggufModel(SMALL_CONFIG, (tensor) =>
    tensor.name === name || tensor.name === related ? type : defaultType(tensor),
  )
  const file = ggufFile(model)
  return openModelFile(
    "m.gguf",
    memoryFiles(new Map([["m.gguf", withBytes(file, file.offsetOf(name) + at, bytes)]])),
  )
}

const NAN16 = [0x01, 0x7c]
const INF16 = [0x00, 0xfc]

test(
  "scales that are not finite are refused with tensor and block, in every " + "block type",
  async () => {
    await expectRefusal(
      damaged("blk.0.attn_q_a.weight", "Q8_0", 34 * 5, NAN16),
      "VALUE",
      "blk.0.attn_q_a.weight",
      "block 5",
    )
    await expectRefusal(damaged("blk.0.attn_q_a.weight", "Q8_0", 34 * 5, INF16), "VALUE", "block 5")
    await expectRefusal(
      damaged("blk.1.ffn_down_exps.weight", "Q2_K", 84 * 7 + 80, NAN16),
      "VALUE",
      "blk.1.ffn_down_exps.weight",
      "block 7",
    )
    await expectRefusal(
      damaged("blk.1.ffn_down_exps.weight", "Q2_K", 84 * 7 + 82, NAN16),
      "VALUE",
      "block 7",
    )
    await expectRefusal(
      damaged("blk.1.ffn_up_exps.weight", "Q4_K", 144 * 3 + 2, NAN16),
      "VALUE",
      "blk.1.ffn_up_exps.weight",
      "block 3",
    )
    await expectRefusal(
      damaged("blk.1.ffn_up_exps.weight", "IQ2_XXS", 66 * 9, NAN16),
      "VALUE",
      "block 9",
    )
    await expectRefusal(
      damaged("blk.1.ffn_up_exps.weight", "MXFP4", 17 * 100, [255]),
      "VALUE",
      "block 100",
    )
    await damaged("blk.1.ffn_up_exps.weight", "MXFP4", 17 * 100, [254]) // the largest scale
    await damaged("blk.0.attn_q_a.weight", "Q8_0", 34 * 5, [0xff, 0x7b]) // the largest finite f16
  },
)

test(
  "floats that are not finite are refused with their index; a sink of minus infinity is " + "legal",
  async () => {
    await expectRefusal(
      damaged("blk.0.attn_norm.weight", "F32", 4 * 3, [0, 0, 0x80, 0x7f]),
      "VALUE",
      "blk.0.attn_norm.weight",
      "index 3",
    )
    await expectRefusal(
      damaged("blk.0.attn_norm.weight", "BF16", 2 * 3, [0x80, 0xff]),
      "VALUE",
      "index 3",
    )
    await expectRefusal(
      damaged("blk.0.attn_kv.weight", "F16", 2 * 1000, NAN16),
      "VALUE",
      "blk.0.attn_kv.weight",
      "index 1000",
    )
    await expectRefusal(
      damaged("blk.0.attn_sinks.weight", "F32", 4, [0, 0, 0x80, 0x7f]),
      "VALUE",
      "blk.0.attn_sinks.weight",
    )
    await damaged("blk.0.attn_sinks.weight", "F32", 4, [0, 0, 0x80, 0xff])
  },
)

test("routing tables may only name experts", async () => {
  const table = "blk.0.ffn_gate_tid2eid.weight"
  await damaged(table, "I32", 4 * 7, [3, 0, 0, 0])
  await expectRefusal(
    damaged(table, "I32", 4 * 7, [4, 0, 0, 0]),
    "VALUE",
    table,
    "expert 4 at index 7",
    "0 to 3",
  )
  await expectRefusal(damaged(table, "I32", 4 * 7, [255, 255, 255, 255]), "VALUE", "expert -1")
  await expectRefusal(
    damaged(table, "I64", 8 * 7 + 4, [1, 0, 0, 0]),
    "VALUE",
    "expert 4294967296 at index 7",
  )
  await expectRefusal(
    damaged(table, "I64", 8 * 7, [255, 255, 255, 255, 255, 255, 255, 255]),
    "VALUE",
    "expert -1 at index 7",
  )
})

/** A small checkpoint with one byte of one tensor changed. */
function checkpointWith(name: string, at: number, value: number) {
  const files = checkpointFiles(checkpoint(SMALL_CONFIG, 1), "m")
  const shard = files.get("m/model-1.safetensors")
  if (shard === undefined || shard instanceof Uint8Array) throw new Error("the fixture has changed")
  const entries = JSON.parse(new TextDecoder().decode(shard.head.subarray(8))) as Record<
    string,
    { data_offsets: [number, number] }
  >
  const begin = entries[name]?.data_offsets[0] ?? Number.NaN
  files.set("m/model-1.safetensors", withBytes(shard, shard.head.length + begin + at, [value]))
  return openModelFile("m", memoryFiles(files))
}

test("NaN scales and codes of a checkpoint are refused", async () => {
  await expectRefusal(
    checkpointWith("layers.1.attn.indexer.wq_b.scale", 0, 255),
    "VALUE",
    "layers.1.attn.indexer.wq_b.weight",
    "NaN scale",
    "index 0",
  )
  await expectRefusal(
    checkpointWith("layers.2.ffn.experts.3.w1.scale", 1234, 255),
    "VALUE",
    "layers.2.ffn.experts.3.w1.weight",
    "index 1234",
  )
  await expectRefusal(
    checkpointWith("layers.0.attn.wkv.weight", 77, 0xff),
    "VALUE",
    "layers.0.attn.wkv.weight",
    "NaN code at index 77",
  )
  await checkpointWith("layers.0.attn.wkv.scale", 0, 254)
})

test("a model of real size opens without its bulk; verifyModelFile reads all of it", async () => {
  const config = {
    ...FLASH_CONFIG,
    layers: 1,
    hashLayers: 0,
    compressRatios: [4],
    swigluLimit: [10],
    sharedSwigluLimit: [10],
    vocab: 1024,
    experts: 8,
    expertsPerToken: 2,
    mtpBlocks: 0,
  }
  const model = ggufModel(config, (tensor) =>
    tensor.kind === "EXPERT_DOWN" ? "MXFP4" : defaultType(tensor),
  )
  const file = ggufFile(model)
  const bad = withBytes(file, file.offsetOf("blk.0.ffn_down_exps.weight") + 17 * 4321, [255])
  const files = memoryFiles(new Map([["m.gguf", bad]]))
  const opened = await openModelFile("m.gguf", files)
  expect(files.bytesRead()).toBeLessThan(1e6)
  const reports: number[] = []
  await expectRefusal(
    verifyModelFile(opened, { access: files, onProgress: (checked) => void reports.push(checked) }),
    "VALUE",
    "blk.0.ffn_down_exps.weight",
    "block 4321",
  )
  expect(reports.length).toBeGreaterThan(10)
  expect(reports).toEqual([...reports].sort((a, b) => a - b))
  const aborted = AbortSignal.abort(new Error("enough"))
  expect(verifyModelFile(opened, { access: files, signal: aborted })).rejects.toThrow("enough")
  const good = memoryFiles(new Map([["m.gguf", file]]))
  await verifyModelFile(await openModelFile("m.gguf", good), { access: good })
  expect(good.bytesRead()).toBeGreaterThan(file.bytes - 1e6)
})
