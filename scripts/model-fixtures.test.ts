import { afterAll, expect, test } from "bun:test"
import { cp, mkdtemp, readdir, rm, utimes } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describeModelFile, openModelFile } from "@ds4/model-file"
import { makeSparseGguf, makeSparseSafetensors } from "./make-sparse-flash.ts"
import { deriveGguf } from "./demo-gguf.ts"
import { tinyTokenizerJson } from "./tiny-models/tokenizer.ts"
import { isDemoGgufCurrent } from "./prepare.ts"

const folder = await mkdtemp(join(tmpdir(), "ds4-sparse-"))
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Disk space that the files really take, in bytes. */
async function diskBytes(paths: readonly string[]): Promise<number> {
  let sum = 0
  for (const path of paths) sum += (await Bun.file(path).stat()).blocks * 512
  return sum
}

test("the tiny model's vocabulary is what its script writes", async () => {
  const committed = fileURLToPath(new URL("../models/tiny/tokenizer.json", import.meta.url))
  expect(tinyTokenizerJson()).toBe(await Bun.file(committed).text())
})

test(
  "the GGUF of a model folder is derived whole, and again when the weights have changed " + "since",
  async () => {
    const model = join(folder, "demo")
    await cp(fileURLToPath(new URL("../models/demo", import.meta.url)), model, {
      recursive: true,
      filter: (path) => !path.endsWith(".gguf"),
    })
    expect(isDemoGgufCurrent(model)).toBe(false)
    const before = await readdir(model)
    const path = await deriveGguf(model)
    expect((await readdir(model)).filter((name) => !before.includes(name))).toEqual(["demo.gguf"])
    expect(describeModelFile(await openModelFile(path))).toMatchObject({
      format: "gguf",
      hasVocabulary: true,
      warnings: [],
    })
    expect(isDemoGgufCurrent(model)).toBe(true)
    const later = new Date(Date.now() + 5000)
    await utimes(join(model, "model-00001-of-00001.safetensors"), later, later)
    expect(isDemoGgufCurrent(model)).toBe(false)
  },
)

test("the Flash-shaped GGUF is 86.7 GB to read, takes little disk and opens", async () => {
  const path = join(folder, "flash.gguf")
  const bytes = await makeSparseGguf(path)
  const file = await openModelFile(path)
  expect(bytes / 1e9).toBeCloseTo(86.7, 1)
  expect(await diskBytes([path])).toBeLessThan(300e6)
  expect(describeModelFile(file)).toMatchObject({
    published: "DeepSeek-V4-Flash",
    tensorCount: 1328,
    hasVocabulary: true,
    warnings: [],
  })
})

test(
  "the Flash-shaped folder has every byte of the release, takes little disk and " + "opens",
  async () => {
    const path = join(folder, "flash")
    expect(await makeSparseSafetensors(path)).toBe(159_609_485_896)
    const file = await openModelFile(path)
    expect(await diskBytes(file.files.map((shard) => shard.path))).toBeLessThan(300e6)
    expect(describeModelFile(file)).toMatchObject({ published: "DeepSeek-V4-Flash", warnings: [] })
    expect(file.ignoredTensors.length).toBe(1575)
  },
)
