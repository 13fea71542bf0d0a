import { createHash } from "node:crypto"
import { readFileSync, statfsSync } from "node:fs"
import { join } from "node:path"
import { formatBytes, formatNumber } from "@ds4/progress"
import { divergence } from "./logits/divergence.ts"
import { memoryText } from "./memory-text.ts"
import { machineFacts, systemFacts } from "./machine-facts.ts"

type Verdict = "ok" | "note" | "problem"

/** One thing that was looked at, and what to do about it. */
export interface Check {
  readonly name: string
  /** The name as people read it, where that is another one. */
  readonly title?: string
  readonly verdict: Verdict
  readonly found: string
  readonly advice?: string
}

const SELF_CHECK_TOKENS = 24
// Three times what AVX-512 showed on the embedded model, 2.2e-5; AVX2 showed 1.1e-6.
const SELF_CHECK_RMS = 6.5e-5
const LOW_MEMORY_BYTES = 2 ** 30
const LOW_DISK_BYTES = 2 ** 30

/** System, memory and disk; without a library, as far as the operating system tells. */
export async function systemChecks(): Promise<Check[]> {
  const { cpu, cores, memoryBytes, availableBytes, kernel } =
    await machineFacts().catch(systemFacts)
  const disk = statfsSync(".")
  const freeBytes = disk.bavail * disk.bsize
  const isLow = availableBytes !== undefined && availableBytes < LOW_MEMORY_BYTES
  const isFull = freeBytes < LOW_DISK_BYTES
  const isSupported = process.arch === "x64" && process.platform === "linux"
  return [
    {
      name: "system",
      verdict: isSupported ? "ok" : "problem",
      found: `${cpu}, ${cores} cores, ${process.platform} ${kernel}`,
      ...(isSupported
        ? {}
        : { advice: "run ds4 on x86-64 Linux: the native library is made for nothing else" }),
    },
    {
      name: "memory",
      verdict: isLow ? "note" : "ok",
      found:
        availableBytes === undefined
          ? `${formatBytes(memoryBytes)}, how much of it is available is not known`
          : `${formatBytes(availableBytes)} available of ${formatBytes(memoryBytes)}`,
      ...(isLow
        ? {
            advice:
              "end other programs or choose a smaller model: weights that do not fit are read " +
              "from disk again and again, slowly",
          }
        : {}),
    },
    {
      name: "disk",
      verdict: isFull ? "note" : "ok",
      found: `${formatBytes(freeBytes)} free in this folder`,
      ...(isFull ? { advice: "free some space before ds4 quantize or ds4 run --batch here" } : {}),
    },
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
  const { expertsText, loadModel, memoryAccount } = await import("@ds4/engine")
  const { engine } = await loadModel(undefined, { contextTokens: 64 })
  const description = engine.describe()
  await engine.close()
  const place = expertsText(description)
  const found = `${place}; ${memoryText(memoryAccount(description.memory))}`
  const isPacked = place.startsWith("packed")
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
    return {
      name: "self check",
      verdict: "problem",
      found: "did not run",
      advice: "run ds4 doctor again, and report this machine if it stays so",
    }
  const { relativeRms, top1Agreement } = divergence(generic, chosen, vocab)
  const isGood = relativeRms < SELF_CHECK_RMS
  const found =
    `kernels of this CPU against the plain ones: logits differ by ` +
    `${formatNumber(relativeRms * 100, 2)} %, ` +
    `${(top1Agreement * 100).toFixed(0)} % same top token, ` +
    `${((performance.now() - startMs) / 1000).toFixed(1)} s`
  return {
    name: "self check",
    verdict: isGood ? "ok" : "problem",
    found,
    ...(isGood ? {} : { advice: "run with --isa generic and report this machine" }),
  }
}
