import { createHash } from "node:crypto"
import { readFileSync, statfsSync } from "node:fs"
import { join } from "node:path"
import { formatBytes } from "./format-size.ts"
import { divergence } from "./logits/divergence.ts"
import { machineFacts, systemFacts } from "./machine-facts.ts"

type Verdict = "ok" | "note" | "problem"

/** One thing that was looked at, and what to do about it. */
export interface Check {
  readonly name: string
  readonly verdict: Verdict
  readonly found: string
  readonly advice?: string
}

const SELF_CHECK_TOKENS = 24
const SELF_CHECK_RMS = 1e-3 // two orders of f32 summation of the same products differ by far less
const LOW_MEMORY_BYTES = 4 * 2 ** 30

/** System, memory and disk; without a library, as far as the operating system tells. */
export async function systemChecks(): Promise<Check[]> {
  const { cpu, cores, memoryBytes, availableBytes, kernel } =
    await machineFacts().catch(systemFacts)
  const disk = statfsSync(".")
  const freeBytes = disk.bavail * disk.bsize
  const isLow = availableBytes < LOW_MEMORY_BYTES
  return [
    {
      name: "system",
      verdict: process.arch === "x64" && process.platform === "linux" ? "ok" : "problem",
      found: `${cpu}, ${cores} cores, ${process.platform} ${kernel}`,
      ...(process.arch === "x64" ? {} : { advice: "the native library is made for x86-64 Linux" }),
    },
    {
      name: "memory",
      verdict: isLow ? "note" : "ok",
      found: `${formatBytes(availableBytes)} available of ${formatBytes(memoryBytes)}`,
      ...(isLow
        ? {
            advice:
              "weights are mapped, not copied: they run from disk when they do not fit, slowly",
          }
        : {}),
    },
    { name: "disk", verdict: "ok", found: `${formatBytes(freeBytes)} free in this folder` },
  ]
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined
}

function gpuText(device: unknown): string {
  const bytes = Number(field(device, "memory_bytes"))
  return (
    `${String(field(device, "name"))} with ${formatBytes(bytes)}, compute capability ` +
    `${String(field(device, "compute_capability"))}`
  )
}

/** GPUs that NVIDIA's driver shows; nothing runs on them yet, so that none is no problem. */
export function gpuCheck(machine: unknown): Check {
  const devices = field(machine, "cuda_devices")
  const driver = (
    [
      ["driver", "cuda_driver"],
      ["CUDA", "cuda_version"],
    ] as const
  ).flatMap(([name, member]) => {
    const version = field(machine, member)
    return typeof version === "string" ? [`${name} ${version}`] : []
  })
  const gpus =
    Array.isArray(devices) && devices.length > 0
      ? devices.map(gpuText)
      : [`none: ${String(field(machine, "cuda_problem"))}`]
  return { name: "gpus", verdict: "ok", found: [...gpus, ...driver].join("; ") }
}

/** Members of the library's description that have a check of their own. */
const TOLD_ELSEWHERE = /^(cuda_|memory_bytes$|available_memory_bytes$)/

/** The library's description of this machine: CPU features, kernel set, cores, GPUs. */
export function libraryChecks(machine: unknown): Check[] {
  const text = (value: unknown) =>
    Array.isArray(value)
      ? value.map(String).join(" ")
      : typeof value === "string"
        ? value
        : JSON.stringify(value)
  const facts = typeof machine === "object" && machine !== null ? Object.keys(machine) : []
  const listed = facts
    .filter((name) => !TOLD_ELSEWHERE.test(name))
    .map((name): Check => ({ name, verdict: "ok", found: text(field(machine, name)) || "none" }))
  return [
    { name: "library", verdict: "ok", found: "loads, and its version fits" },
    ...listed,
    gpuCheck(machine),
  ]
}

/**
 * The files of a folder whose bytes are not those that its SHA256SUMS lists, in sha256sum's own
 * format.
 */
export function damagedFiles(folder: string): { listed: number; damaged: string[] } {
  const lines = readFileSync(join(folder, "SHA256SUMS"), "utf8").trim().split("\n")
  const damaged = lines.flatMap((line) => {
    const [expected, name = ""] = line.split(/ [ *]/)
    const found = createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex")
    return found === expected ? [] : [name]
  })
  return { listed: lines.length, damaged }
}

/** Whether the embedded model is the one that was committed. */
export async function embeddedModelCheck(): Promise<Check> {
  const { EMBEDDED_MODEL_PATH } = await import("@ds4/engine")
  const { listed, damaged } = damagedFiles(EMBEDDED_MODEL_PATH)
  const name = "demo model"
  if (damaged.length === 0)
    return {
      name,
      verdict: "ok",
      found: `models/demo is intact: ${listed} files with the hashes of its SHA256SUMS`,
    }
  return {
    name,
    verdict: "problem",
    found: `not as listed in models/demo/SHA256SUMS: ${damaged.join(", ")}`,
    advice: "restore the folder: git checkout models/demo",
  }
}

/**
 * Where the routed experts of the embedded model run, which is what `auto` comes to on this machine
 * for a model that fits.
 */
export async function expertCheck(): Promise<Check> {
  const { expertsText, loadModel } = await import("@ds4/engine")
  const { engine } = await loadModel(undefined, { contextTokens: 64 })
  const found = expertsText(engine.describe())
  await engine.close()
  const isPacked = found.startsWith("packed")
  return {
    name: "experts",
    verdict: isPacked ? "ok" : "note",
    found,
    ...(isPacked
      ? {}
      : {
          advice:
            "models run all the same, their experts read from the file; --expert-weights packed " +
            "says what is in the way",
        }),
  }
}

/**
 * Runs the embedded model with the kernels chosen for this CPU and with the plain ones, and
 * compares the logits.
 */
export async function selfCheck(): Promise<Check> {
  const { loadModel } = await import("@ds4/engine")
  const startMs = performance.now()
  const results: Float32Array[] = []
  let vocab = 1
  for (const isa of ["generic", "auto"] as const) {
    const { engine } = await loadModel(undefined, { isa, numerics: "trained", contextTokens: 64 })
    vocab = engine.model.vocab
    const all = new Float32Array(SELF_CHECK_TOKENS * vocab)
    const ids = Array.from({ length: SELF_CHECK_TOKENS }, (_, index) => (index * 37 + 5) % vocab)
    for (const { position, logits } of engine.logits(ids, { mode: "all" }))
      all.set(logits, position * vocab)
    results.push(all)
    await engine.close()
  }
  const [generic, chosen] = results
  if (generic === undefined || chosen === undefined)
    return { name: "self check", verdict: "problem", found: "did not run" }
  const { relativeRms, top1Agreement } = divergence(generic, chosen, vocab)
  const isGood = relativeRms < SELF_CHECK_RMS
  const found =
    `kernels of this CPU against the plain ones: relative difference ` +
    `${relativeRms.toExponential(1)}, ${(top1Agreement * 100).toFixed(0)} % same top token, ` +
    `${((performance.now() - startMs) / 1000).toFixed(1)} s`
  return {
    name: "self check",
    verdict: isGood ? "ok" : "problem",
    found,
    ...(isGood ? {} : { advice: "run with --isa generic and report this machine" }),
  }
}
