import { expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EMBEDDED_MODEL_PATH } from "@ds4/engine"
import { openModelFile } from "@ds4/model-file"
import { damagedFiles, embeddedModelCheck } from "./doctor.ts"
import { gpuCheck, machineChecks } from "./machine-checks.ts"
import { machineWords } from "./testing/machine-words-found.ts"

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

const WANTING = {
  cpu: "Some CPU",
  features: ["avx512_bf16", "amx_tile"],
  isa: "generic",
  isas: ["generic"],
  usable_cores: 1,
  affinity_cpus: 0, // fewer than any machine has
  cgroup_cpus: -1, // less than that
  numa_nodes: 2,
  memory_bytes: 2 ** 40,
  available_memory_bytes: null,
  huge_page_bytes: 1010 * 2 ** 20,
  a_new_fact: { of_two: null, parts: [1, 2] },
  cuda_driver: null,
  cuda_version: null,
  cuda_problem: null,
  cuda_devices: [],
}

test("what the library tells is told in words, and what is wanting comes with advice", () => {
  const checks = machineChecks(WANTING)
  for (const { name, title = name, found, advice = "" } of checks)
    expect([name, machineWords(`${title} ${found} ${advice}`)]).toEqual([name, []])
  const wanting = checks.filter(({ verdict }) => verdict !== "ok")
  expect(wanting.map(({ name }) => name)).toEqual(["isa", "affinity_cpus", "cgroup_cpus"])
  for (const { name, advice = "" } of wanting)
    expect([name, advice.length > 20]).toEqual([name, true])
  const text = checks.map(({ title, found }) => `${title} ${found}`).join("\n")
  expect(text).toContain("instructions AVX-512 BF16, AMX TILE")
  expect(text).toContain("huge page 1010 MiB")
})

test("a machine without a limit says none", () => {
  const [limit] = machineChecks({ ...WANTING, cgroup_cpus: null }).filter(
    ({ name }) => name === "cgroup_cpus",
  )
  expect(limit).toEqual({ name: "cgroup_cpus", title: "CPU limit", verdict: "ok", found: "none" })
})
