import { expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EMBEDDED_MODEL_PATH } from "@ds4/engine"
import { openModelFile } from "@ds4/model-file"
import { damagedFiles, embeddedModelCheck, gpuCheck } from "./doctor.ts"

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
      "eval-suite.json",
      ...files.map(({ path }) => path.slice(path.lastIndexOf("/") + 1)),
    ])
      expect(listed).toContain(`  ${name}\n`)
  },
)

test("GPUs are told with their driver, and a machine without a driver says so", () => {
  expect(
    gpuCheck({
      cuda_driver: "570.124.06",
      cuda_version: "12.8",
      cuda_problem: null,
      cuda_devices: [
        {
          name: "NVIDIA H200",
          memory_bytes: 2 ** 37,
          compute_capability: "9.0",
          multiprocessors: 132,
        },
      ],
    }),
  ).toEqual({
    name: "gpus",
    verdict: "ok",
    found: "NVIDIA H200 with 128 GiB, compute capability 9.0; driver 570.124.06; CUDA 12.8",
  })
  const problem = "libcuda.so.1 of NVIDIA's driver is not installed"
  expect(
    gpuCheck({ cuda_driver: null, cuda_version: null, cuda_problem: problem, cuda_devices: [] }),
  ).toMatchObject({ verdict: "ok", found: `none: ${problem}` })
})
