import { expect, test } from "bun:test"
import { existsSync, readdirSync } from "node:fs"
import { tmpdir } from "node:os"
import { benchExperts, ggmlFolder, type BenchOptions, type BenchReport } from "./index.ts"
import { parseBenchReport } from "./bench-report.ts"

const tiny = {
  experts: 12,
  layers: 1,
  hidden: 256,
  moeIntermediateSize: 256,
  threads: 1,
  seconds: 0.005,
  loadMib: 3,
  readMib: 16,
} as const satisfies BenchOptions
const rowsOf = (report: BenchReport, suite: string) =>
  report.rows.filter((row) => row.suite === suite)
const numbersOf = (report: BenchReport, suite: string, key: string) =>
  rowsOf(report, suite).map((row) => row[key] as number)
const generated = () => readdirSync(tmpdir()).filter((name) => name.startsWith("kt_moe_bench-"))

test("every suite measures something, and nothing stays behind", async () => {
  const before = generated()
  let text = ""
  const report = await benchExperts({ ...tiny, onText: (part) => (text += part) })
  for (const [suite, key] of [
    ["rates", "all_threads"],
    ["decode", "of_read"],
    ["prefill", "of_limit"],
    ["scaling", "of_read"],
    ["methods", "of_read"],
    ["calibration", "tokens"],
    ["loading", "of_copy_time"],
    ["loading", "peak_of_weights"],
  ] as const) {
    const numbers = numbersOf(report, suite, key)
    expect(numbers.length).toBeGreaterThan(0)
    for (const number of numbers) expect([suite, key, number > 0]).toEqual([suite, key, true])
    expect(text).toContain(`\n${suite}\n`)
  }
  expect(numbersOf(report, "decode", "tokens").slice(0, 4)).toEqual([1, 2, 4, 8])
  // large sizes may take too long, and not every method has kernels for every numerics
  expect(
    report.skipped.filter(
      ({ suite, reason }) => suite !== "prefill" && !reason.includes("is not implemented"),
    ),
  ).toEqual([])
  expect(report.targets.length).toBeGreaterThan(0)
  expect(generated()).toEqual(before)
}, 480_000)

const hasPeer = (() => {
  try {
    return existsSync(ggmlFolder())
  } catch {
    return false
  }
})()
test.skipIf(!hasPeer)(
  "llama.cpp's kernels agree with ours on the same experts (needs @node-llama-cpp/linux-x64)",
  async () => {
    const report = await benchExperts({ ...tiny, suites: ["peer"], ggml: ggmlFolder() })
    expect(report.skipped).toEqual([])
    expect(new Set(rowsOf(report, "peer").map((row) => `${row.task} ${row.buffers}`))).toEqual(
      new Set(["decode plain", "prefill plain", "decode repacked", "prefill repacked"]),
    )
    // Both round to int8 alike when one token comes: measured 1.3e-3. Else 1.2e-2.
    for (const { task, numerics, difference } of rowsOf(report, "peer"))
      expect(Number(difference)).toBeLessThan(
        task === "decode" && numerics === "int8" ? 3.9e-3 : 2e-2,
      )
  },
  120_000,
)

test("a missing benchmark, impossible numbers and other reports are refused", async () => {
  expect(benchExperts({ benchPath: "/nowhere/bench" })).rejects.toThrow("does not exist")
  expect(benchExperts({ threads: -1 })).rejects.toThrow("threads is -1")
  expect(benchExperts({ experts: 5 })).rejects.toThrow("--experts is 5; expected 12..1024")
  expect(
    benchExperts({ ...tiny, suites: ["peer"], ggml: import.meta.dir }).then(
      ({ skipped }) => skipped[0]?.reason,
    ),
  ).resolves.toContain("has no libggml.so")
  expect(() => parseBenchReport('{"schema":"kt_moe_bench/1"}')).toThrow("build it again")
}, 240_000)
