import { expect, test } from "bun:test"
import { openModelFile } from "../open-model-file.ts"
import { memoryFiles } from "../testing/memory-files.ts"
import { expectRefusal } from "../testing/refusal.ts"
import { SMALL_CONFIG, ggufFile, ggufModel, type GgufModel } from "../testing/small-models.ts"
import type { GgufValue } from "./metadata.ts"

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
