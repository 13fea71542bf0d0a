import { expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EMBEDDED_MODEL_PATH } from "@ds4/engine"
import { openModelFile } from "@ds4/model-file"
import { damagedFiles, embeddedModelCheck } from "./doctor.ts"

test(
  "a file that differs by one byte from its listed hash is named, one that is missing is an " +
    "error",
  () => {
    const folder = mkdtempSync(join(tmpdir(), "ds4-sums-"))
    try {
      const sums = ["a", "b"].map(
        (name) => `${createHash("sha256").update(`text of ${name}`).digest("hex")}  ${name}\n`,
      )
      writeFileSync(join(folder, "SHA256SUMS"), sums.join(""))
      for (const name of ["a", "b"]) writeFileSync(join(folder, name), `text of ${name}`)
      expect(damagedFiles(folder)).toEqual({ listed: 2, damaged: [] })
      writeFileSync(join(folder, "b"), "text of B")
      expect(damagedFiles(folder)).toEqual({ listed: 2, damaged: ["b"] })
      rmSync(join(folder, "a"))
      expect(() => damagedFiles(folder)).toThrow("a")
    } finally {
      rmSync(folder, { recursive: true })
    }
  },
)

test(
  "the embedded model is as its SHA256SUMS says, which lists everything that is read " + "of it",
  async () => {
    // after new weights: (cd models/demo && sha256sum *.json *.safetensors > SHA256SUMS)
    expect(await embeddedModelCheck()).toMatchObject({ verdict: "ok" })
    const { files } = await openModelFile(EMBEDDED_MODEL_PATH)
    const listed = await Bun.file(join(EMBEDDED_MODEL_PATH, "SHA256SUMS")).text()
    for (const name of [
      "config.json",
      "tokenizer.json",
      "model.safetensors.index.json",
      ...files.map(({ path }) => path.slice(path.lastIndexOf("/") + 1)),
    ])
      expect(listed).toContain(`  ${name}\n`)
  },
)
