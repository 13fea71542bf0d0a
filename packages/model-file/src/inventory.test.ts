// The published totals of both models (specification, sections 2.1, 2.2, 2.5 and 2.7), and that a
// file with exactly those headers opens. No data exists behind the headers.
import { expect, test } from "bun:test"
import { describeModelFile } from "./describe.ts"
import {
  expectedTensors,
  officialInventory,
  officialMtpInventory,
  storedBytes,
  type ExpectedTensor,
  type StoredSafetensor,
} from "./inventory.ts"
import type { ModelConfig } from "./model-config.ts"
import { openModelFile } from "./open-model-file.ts"
import { FLASH_CONFIG, PRO_CONFIG, publishedName } from "./published-configs.ts"
import type { TensorTypeName } from "./tensor-types.ts"
import { memoryFiles } from "./testing/memory-files.ts"
import { checkpoint, checkpointFiles, ggufFile, ggufModel } from "./testing/small-models.ts"

const complete = (config: ModelConfig): StoredSafetensor[] => [
  ...officialInventory(config),
  ...officialMtpInventory(config, 0),
]
const total = (tensors: readonly StoredSafetensor[]): number =>
  tensors.reduce((sum, tensor) => sum + tensor.bytes, 0)

test(
  "the Flash checkpoint has 69187 tensors of 159,609,485,896 bytes in the published " + "dtypes",
  () => {
    const tensors = complete(FLASH_CONFIG)
    expect(tensors.length).toBe(69187)
    expect(total(tensors)).toBe(159_609_485_896)
    const dtypes = Object.fromEntries(
      [...Map.groupBy(tensors, (tensor) => tensor.dtype)].map(([dtype, group]) => [
        dtype,
        group.length,
      ]),
    )
    expect(dtypes).toEqual({ BF16: 433, F32: 417, F8_E4M3: 375, F8_E8M0: 34167, I64: 3, I8: 33792 })
  },
)

test("its prediction block has 1575 tensors of 3,593,787,756 bytes", () => {
  const block = [...officialMtpInventory(FLASH_CONFIG, 0)]
  expect(block.length).toBe(1575)
  expect(total(block)).toBe(3_593_787_756)
})

test("the Pro checkpoint has 145116 tensors of 864,704,792,696 bytes", () => {
  const tensors = complete(PRO_CONFIG)
  expect(tensors.length).toBe(145116)
  expect(total(tensors)).toBe(864_704_792_696)
})

test("a Flash trunk in GGUF has 1328 tensors", () => {
  expect([...expectedTensors(FLASH_CONFIG, "gguf")].length).toBe(1328)
})

test("scales have the shapes of the release", () => {
  const tensors = new Map(complete(FLASH_CONFIG).map((tensor) => [tensor.name, tensor]))
  expect(tensors.get("layers.0.attn.wo_a.scale")?.shape).toEqual([64, 32])
  expect(tensors.get("layers.5.ffn.experts.255.w2.scale")?.shape).toEqual([4096, 64])
  expect(tensors.get("layers.5.ffn.experts.255.w2.weight")?.shape).toEqual([4096, 1024])
})

/** Column A of the specification's inventory with the given expert types. */
const recipe =
  (gateUp: TensorTypeName, down: TensorTypeName) =>
  (tensor: ExpectedTensor): TensorTypeName => {
    if (tensor.role === "table") return "I32"
    if (tensor.role === "vector") return "F32"
    if (tensor.role === "expert") return tensor.kind === "EXPERT_DOWN" ? down : gateUp
    return tensor.kind === "OUTPUT" || (tensor.official === "FP8" && tensor.kind !== "INDEXER_Q_B")
      ? "Q8_0"
      : "F16"
  }

test.each([
  ["IQ2_XXS", "Q2_K", 86.7, 77.91],
  ["Q4_K", "Q4_K", 164.62, 155.83],
] as const)(
  "a Flash GGUF of %s and %s has the published size",
  async (gateUp, down, dataGb, expertGb) => {
    const file = ggufFile(ggufModel(FLASH_CONFIG, recipe(gateUp, down), "antirez"))
    const files = memoryFiles(new Map([["flash.gguf", file]]))
    const described = describeModelFile(await openModelFile("flash.gguf", files))
    const experts = described.groups.find(({ group }) => group === "routed experts")?.bytes ?? 0
    expect(described.tensorBytes / 1e9).toBeCloseTo(dataGb, 1)
    expect(experts / 1e9).toBeCloseTo(expertGb, 2)
    expect((described.tensorBytes - experts) / 1e9).toBeCloseTo(8.79, 1)
    expect(described.tensorCount).toBe(1328)
    // the header, the vectors and the three routing tables
    expect(files.bytesRead()).toBeLessThan(64e6)
  },
)

test("one expert takes the published number of bytes in each recipe", () => {
  const perExpert = (gateUp: TensorTypeName, down: TensorTypeName): number =>
    [...expectedTensors(FLASH_CONFIG, "gguf")]
      .filter(({ role, layer }) => role === "expert" && layer === 0)
      .reduce(
        (sum, tensor) => sum + (storedBytes(tensor, recipe(gateUp, down)(tensor)) ?? 0) / 256,
        0,
      )
  expect(perExpert("MXFP4", "MXFP4")).toBe(13_369_344)
  expect(perExpert("IQ2_XXS", "Q2_K")).toBe(7_077_888)
  expect(perExpert("Q4_K", "Q4_K")).toBe(14_155_776)
})

test(
  "a complete Flash folder opens; groups have the published sizes and the prediction block is " +
    "set aside",
  async () => {
    const model = checkpoint({ ...FLASH_CONFIG }, 46)
    model.shards.push({
      name: "model-mtp.safetensors",
      tensors: [...officialMtpInventory(FLASH_CONFIG, 0)].map(({ name, dtype, shape }) => ({
        name,
        dtype: dtype as "BF16",
        shape,
      })),
    }) // dtypes are checked by the reader
    const files = memoryFiles(checkpointFiles(model, "flash"))
    const opened = await openModelFile("flash", files)
    expect(opened.ignoredTensors.length).toBe(1575)
    expect(
      opened.tensors.length +
        opened.tensors.filter((tensor) => tensor.scaleBytes > 0).length +
        1575,
    ).toBe(69187)
    expect(opened.files.length).toBe(47)
    expect(publishedName(opened.config)).toBe("DeepSeek-V4-Flash")
    const sizes = Object.fromEntries(
      describeModelFile(opened).groups.map(({ group, bytes }) => [group, bytes]),
    )
    expect(sizes).toMatchObject({
      "routed experts": 147_169_738_752,
      "shared experts": 1_082_196_480,
      compressor: 525_722_624,
      indexer: 275_353_344,
      "hyper-connections": 135_275_592 + 262_164,
      head: 1_059_061_760,
      embedding: 1_059_061_760,
    })
  },
)

test("a Pro trunk folder opens", async () => {
  const opened = await openModelFile(
    "pro",
    memoryFiles(checkpointFiles(checkpoint({ ...PRO_CONFIG, mtpBlocks: 0 }, 64), "pro")),
  )
  expect(
    opened.tensors.length + opened.tensors.filter((tensor) => tensor.scaleBytes > 0).length,
  ).toBe(145116 - 2343)
  expect(publishedName(opened.config)).toBe("DeepSeek-V4-Pro")
})
