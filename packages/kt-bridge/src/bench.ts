// Speed of routed experts of Flash shape on this machine, measured by the native benchmark in a process of its own.
import { existsSync } from "node:fs"
import { join } from "node:path"
import { BUILD_COMMAND, DIST } from "@ds4/native"
import { ExpertPoolError, invalid } from "./errors.ts"

export interface BenchOptions {
  /** Of the layer, 12..1024; memory is 13.4 MB each. Default 64. */
  experts?: number
  /** Default: all usable cores. */
  threads?: number
  /** Simulated NUMA parts. Default 1. */
  parts?: number
  /** Of each measurement. Default 1. */
  seconds?: number
  /** Another benchmark binary. */
  benchPath?: string
}

/**
 * Figures by name: `<isa>_<numerics>.read_gb_per_s` (streaming read of the same threads in the same run),
 * `.decode_gb_per_s` (canonical weight bytes of one-token calls), `.decode_of_read` (their ratio),
 * `.prefill_gflops_<tokens per expert>`, `.load_gb_per_s`, `.load_of_copy_time` (time to load a layer from memory over the
 * time of a plain copy of its bytes to fresh memory).
 */
export type BenchFigures = Record<string, number>

/**
 * Runs the benchmark and returns its figures.
 * @throws ExpertPoolError LIBRARY when it has not been built, INTERNAL when it fails
 */
export async function benchExperts(options: BenchOptions = {}): Promise<BenchFigures> {
  const { benchPath = join(DIST, "kt_moe_bench"), ...numbers } = options
  if (!existsSync(benchPath)) throw new ExpertPoolError("LIBRARY", `the benchmark ${benchPath} does not exist: build it with \`${BUILD_COMMAND}\``)
  const flags = Object.entries(numbers).flatMap(([name, value]) => {
    if (value === undefined) return []
    if (!(value > 0)) invalid(`${name} is ${value}; expected more than 0`)
    return [`--${name}`, String(value)]
  })
  const child = Bun.spawn([benchPath, ...flags, "--json"], { stdout: "pipe", stderr: "pipe" })
  const [text, problem, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited])
  if (code !== 0) throw new ExpertPoolError("INTERNAL", `${benchPath} ended with ${code}: ${problem.trim()}`)
  const figures: unknown = JSON.parse(text)
  if (typeof figures !== "object" || figures === null) throw new ExpertPoolError("INTERNAL", `${benchPath} printed no object`)
  return Object.fromEntries(Object.entries(figures).filter((entry): entry is [string, number] => typeof entry[1] === "number"))
}
