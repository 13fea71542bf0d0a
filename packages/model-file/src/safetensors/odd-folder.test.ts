// Folders that are a little odd, and folders that are no model.
import { expect, test } from "bun:test"
import { openModelFile } from "../open-model-file.ts"
import { memoryFiles, utf8, type MemoryFile } from "../testing/memory-files.ts"
import { expectRefusal } from "../testing/refusal.ts"
import { checkpoint, checkpointFiles, ggufModel } from "../testing/small-models.ts"
import { layoutGguf } from "../gguf/writer.ts"

const POINTER = utf8(`version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 5368709120
`)

/** Opens a small checkpoint whose config.json is changed as text. */
async function withConfig(change: (text: string) => string | Uint8Array) {
  const model = checkpoint()
  const files = checkpointFiles(model, "m")
  const changed = change(JSON.stringify(model.config))
  files.set("m/config.json", typeof changed === "string" ? utf8(changed) : changed)
  return await openModelFile("m", memoryFiles(files))
}
const adding = (members: string) => (text: string) => text.replace(/^\{/, `{${members},`)
const replacing = (key: string, value: string) => (text: string) =>
  text.replace(new RegExp(`"${key}":[^,}]*`), `"${key}":${value}`)

test("numbers that JSON lacks and Python writes do no harm in a key nobody needs", async () => {
  const { config } = await withConfig((text) => text)
  const odd = adding('"a":NaN,"b":[Infinity,-Infinity,-NaN],"c":{"NaN":"NaN and \\"Infinity"}')
  const file = await withConfig(odd)
  expect(file.config).toEqual(config)
  expect(file.metadata.get("c")).toEqual({ NaN: 'NaN and "Infinity' })
  await expectRefusal(withConfig(replacing("rms_norm_eps", "NaN")), "VALUE", "rms_norm_eps", "NaN")
  await expectRefusal(withConfig(replacing("rope_theta", "Infinity")), "VALUE", "ropeTheta")
  await expectRefusal(withConfig(adding('"a":nan')), "FORMAT", "not JSON")
})

test("an author's name in Latin-1 does no harm", async () => {
  const file = await withConfig((text) =>
    Uint8Array.from(utf8(adding('"author":"Jos?"')(text)), (byte) => (byte === 0x3f ? 0xe9 : byte)),
  )
  expect(String(file.metadata.get("author"))).toStartWith("Jos")
})

test("of several end tokens the first is taken; a list of anything else is refused", async () => {
  expect((await withConfig(replacing("eos_token_id", "[2, 3]"))).config.eosTokenId).toBe(2)
  expect((await withConfig(replacing("bos_token_id", "[1]"))).config.bosTokenId).toBe(1)
  for (const value of ["[]", '["2"]', "[2, null]", "[[2]]", "null", '"2"', "[1.5]"])
    await expectRefusal(
      withConfig(replacing("eos_token_id", value)),
      value === "null" ? "MISSING" : "VALUE",
      "eos_token_id",
    )
})

const folder = (files: Readonly<Record<string, Uint8Array | MemoryFile>>) =>
  openModelFile("m", memoryFiles(new Map(Object.entries(files))))

test("a folder that is no model says where the model may be", async () => {
  const gguf = layoutGguf(ggufModel()).header
  const json = utf8("{}")
  for (const [files, ...words] of [
    [{ "m/a.gguf": gguf, "m/README.md": json }, "one GGUF model: name m/a.gguf"],
    [
      { "m/b-00001-of-00002.gguf": gguf, "m/b-00002-of-00002.gguf": gguf },
      "name m/b-00001-of-00002.gguf",
    ],
    [{ "m/a.gguf": gguf, "m/b.gguf": gguf }, "2 GGUF models", "m/a.gguf"],
    [{ "m/weights/config.json": json, "m/x": json }, "the model may be m/weights"],
    [{ "m/Q4/a.gguf": gguf }, "the model may be m/Q4/a.gguf"],
    [{ "m/snapshots/abc/config.json": json, "m/refs/main": json }, "m/snapshots/abc"],
    [{ "m/a.txt": json }, "no config.json", "It has a.txt", "GGUF"],
    [{ "m/config.json": json, "m/a.gguf": gguf }, "no model.safetensors", "name m/a.gguf"],
  ] as const)
    await expectRefusal(folder(files), "MISSING", ...words)
})

test("a Git LFS pointer in place of any file is named", async () => {
  const files = checkpointFiles(checkpoint(), "m")
  for (const name of ["config.json", "model.safetensors.index.json", "model-1.safetensors"]) {
    const changed = new Map(files).set(`m/${name}`, POINTER)
    await expectRefusal(
      openModelFile("m", memoryFiles(changed)),
      "FORMAT",
      `m/${name}: is a Git LFS pointer`,
      "5368709120 bytes",
      "git lfs pull",
    )
  }
  const single = memoryFiles(new Map([["m.gguf", POINTER]]))
  await expectRefusal(openModelFile("m.gguf", single), "FORMAT", "m.gguf: is a Git LFS pointer")
})
