// Speed of routed experts of Flash shape on this machine, measured by the native benchmark in a
// process of its own.
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { BENCH_BUILD_COMMAND, DIST } from "@ds4/native"
import { parseBenchReport, type BenchReport, type BenchSuite } from "./bench-report.ts"
import { ExpertPoolError, invalid } from "./errors.ts"

export interface BenchOptions {
  /** Every suite at full size, some minutes; else a subset in about a minute. */
  full?: boolean
  /** Default: all; "peer" only with `ggml`. */
  suites?: readonly BenchSuite[]
  /** Folder of llama.cpp's CPU libraries, see ggmlFolder. */
  ggml?: string
  /** Default: all usable cores. */
  threads?: number
  /** Simulated NUMA parts. Default 1. */
  parts?: number
  /**
   * Measured layers and their experts, 12..1024; default by free memory. An expert takes 13.4 MB.
   */
  layers?: number
  experts?: number
  /** Sizes of an expert, multiples of 128; default 4096 and 2048. */
  hidden?: number
  moeIntermediateSize?: number
  /** Duration of each measurement. */
  seconds?: number
  /**
   * MiB of the checkpoint that the loading suite generates and of the memory that the reads pass
   * over.
   */
  loadMib?: number
  readMib?: number
  /** Receives the tables while they are measured. */
  onText?: (text: string) => void
  /** Another benchmark binary. */
  benchPath?: string
}

const FLAGS = {
  threads: "--threads",
  parts: "--parts",
  layers: "--layers",
  experts: "--experts",
  hidden: "--hidden",
  moeIntermediateSize: "--intermediate",
  seconds: "--seconds",
  loadMib: "--load-mib",
  readMib: "--read-mib",
} as const satisfies Partial<Record<keyof BenchOptions, string>>

const PEER_PACKAGE = "@node-llama-cpp/linux-x64"
const PEER_VERSION = "3.22.1"

/**
 * Folder of llama.cpp's CPU libraries inside the npm package that this repository's tests use.
 * @throws ExpertPoolError LIBRARY with the way to get it when it is not installed
 */
export function ggmlFolder(): string {
  for (const from of [join(DIST, "../../tests"), import.meta.dir, process.cwd()]) {
    try {
      return join(dirname(Bun.resolveSync(`${PEER_PACKAGE}/package.json`, from)), "bins/linux-x64")
    } catch {
      continue // not installed there
    }
  }
  throw new ExpertPoolError(
    "LIBRARY",
    `the comparison needs llama.cpp's libraries: \`bun install\` in the repository installs ` +
      `them, elsewhere \`bun add ${PEER_PACKAGE}@${PEER_VERSION}\`, or --ggml names their folder`,
  )
}

function flagsOf(options: BenchOptions): string[] {
  const numbers = Object.entries(FLAGS).flatMap(([name, flag]) => {
    const value = options[name as keyof typeof FLAGS]
    if (value === undefined) return []
    if (!(value > 0)) invalid(`${name} is ${value}; expected more than 0`)
    return [flag, String(value)]
  })
  const suites =
    options.suites === undefined || options.suites.length === 0
      ? []
      : ["--suites", options.suites.join(",")]
  const ggml = options.ggml === undefined ? [] : ["--ggml", options.ggml]
  return [...(options.full === true ? ["--full"] : []), ...suites, ...ggml, ...numbers]
}

/**
 * Runs the benchmark and returns its report.
 * @throws ExpertPoolError LIBRARY when it has not been built, ARGUMENT for impossible numbers,
 * INTERNAL when it fails
 */
export async function benchExperts(options: BenchOptions = {}): Promise<BenchReport> {
  const { benchPath = join(DIST, "kt_moe_bench"), onText } = options
  if (!existsSync(benchPath))
    throw new ExpertPoolError(
      "LIBRARY",
      `the benchmark ${benchPath} does not exist: build it with \`${BENCH_BUILD_COMMAND}\``,
    )
  const flags = flagsOf(options)
  const folder = mkdtempSync(join(tmpdir(), "ds4-bench-"))
  try {
    const report = join(folder, "report.json")
    const child = Bun.spawn([benchPath, ...flags, "--json", report], {
      stdout: "pipe",
      stderr: "pipe",
    })
    const problem = new Response(child.stderr).text()
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) onText?.(text)
    const code = await child.exited
    if (code !== 0)
      throw new ExpertPoolError(
        "INTERNAL",
        `${benchPath} ended with ${code}: ${(await problem).trim()}`,
      )
    return parseBenchReport(await Bun.file(report).text())
  } finally {
    rmSync(folder, { recursive: true })
  }
}
