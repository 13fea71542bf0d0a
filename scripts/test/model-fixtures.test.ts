import { afterAll, expect, test } from "bun:test"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describeModelFile, openModelFile } from "@ds4/tokenizer"
import { makeSparseGguf, makeSparseSafetensors } from "../make-sparse-flash.ts"
import { tinyTokenizerJson } from "../make-tiny-model.ts"

const folder = await mkdtemp(join(tmpdir(), "ds4-sparse-"))
afterAll(() => rm(folder, { recursive: true, force: true }))

/** What the files really occupy. */
async function diskBytes(paths: readonly string[]): Promise<number> {
  let sum = 0
  for (const path of paths) sum += (await Bun.file(path).stat()).blocks * 512
  return sum
}

test("the embedded model's vocabulary is what its script writes", async () => {
  const committed = fileURLToPath(new URL("../../models/tiny/tokenizer.json", import.meta.url))
  expect(tinyTokenizerJson()).toBe(await Bun.file(committed).text())
})

test("the Flash-shaped GGUF is 86.7 GB to read, takes little disk and opens", async () => {
  const path = join(folder, "flash.gguf")
  const bytes = await makeSparseGguf(path)
  const file = await openModelFile(path)
  expect(bytes / 1e9).toBeCloseTo(86.7, 1)
  expect(await diskBytes([path])).toBeLessThan(300e6)
  expect(describeModelFile(file)).toMatchObject({ published: "DeepSeek-V4-Flash", tensorCount: 1328, hasVocabulary: true, warnings: [] })
})

test("the Flash-shaped folder has every byte of the release, takes little disk and opens", async () => {
  const path = join(folder, "flash")
  expect(await makeSparseSafetensors(path)).toBe(159_609_485_896)
  const file = await openModelFile(path)
  expect(await diskBytes(file.files.map((shard) => shard.path))).toBeLessThan(300e6)
  expect(describeModelFile(file)).toMatchObject({ published: "DeepSeek-V4-Flash", warnings: [] })
  expect(file.ignoredTensors.length).toBe(1575)
})
