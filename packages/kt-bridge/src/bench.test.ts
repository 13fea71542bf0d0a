import { expect, test } from "bun:test"
import { existsSync, readdirSync } from "node:fs"
import { tmpdir } from "node:os"
import {
  benchExperts,
  ggmlFolder,
  parseBenchReport,
  type BenchOptions,
  type BenchReport,
} from "./index.ts"

const tiny = {
  experts: 12,
  layers: 1,
  hidden: 256,
  inner: 256,
  threads: 1,
  seconds: 0.005,
  loadMib: 3,
  readMib: 16,
} as const satisfies BenchOptions
const rowsOf = (report: BenchReport, room: string) => report.rows.filter((row) => row.room === room)
const numbersOf = (report: BenchReport, room: string, key: string) =>
  rowsOf(report, room).map((row) => row[key] as number)
const generated = () => readdirSync(tmpdir()).filter((name) => name.startsWith("kt_moe_bench-"))

test("every room measures something, and nothing stays behind", async () => {
  const before = generated()
  let text = ""
  const report = await benchExperts({ ...tiny, onText: (part) => (text += part) })
  for (const [room, key] of [
    ["rates", "all_threads"],
    ["decode", "of_read"],
    ["prefill", "of_limit"],
    ["scaling", "of_read"],
    ["methods", "of_read"],
    ["calibration", "tokens"],
    ["loading", "of_copy_time"],
    ["loading", "peak_of_weights"],
  ] as const) {
    const numbers = numbersOf(report, room, key)
    expect(numbers.length).toBeGreaterThan(0)
    for (const number of numbers) expect([room, key, number > 0]).toEqual([room, key, true])
    expect(text).toContain(`\n${room}\n`)
  }
  expect(numbersOf(report, "decode", "tokens").slice(0, 4)).toEqual([1, 2, 4, 8])
  // large sizes may take too long, and not every method has kernels for every numerics
  expect(
    report.skipped.filter(
      ({ room, reason }) => room !== "prefill" && !reason.includes("is not implemented"),
    ),
  ).toEqual([])
  expect(report.targets.length).toBeGreaterThan(0)
  expect(generated()).toEqual(before)
}, 120_000)

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
    const report = await benchExperts({ ...tiny, rooms: ["peer"], ggml: ggmlFolder() })
    expect(report.skipped).toEqual([])
    expect(new Set(rowsOf(report, "peer").map((row) => `${row.task} ${row.buffers}`))).toEqual(
      new Set(["decode plain", "prefill plain", "decode repacked", "prefill repacked"]),
    )
    for (const difference of numbersOf(report, "peer", "difference"))
      expect(difference).toBeLessThan(2e-2)
  },
  120_000,
)

test("a missing benchmark, impossible numbers and other reports are refused", async () => {
  expect(benchExperts({ benchPath: "/nowhere/bench" })).rejects.toThrow("does not exist")
  expect(benchExperts({ threads: -1 })).rejects.toThrow("threads is -1")
  expect(benchExperts({ experts: 5 })).rejects.toThrow("--experts is 5; expected 12..1024")
  expect(
    benchExperts({ ...tiny, rooms: ["peer"], ggml: import.meta.dir }).then(
      ({ skipped }) => skipped[0]?.reason,
    ),
  ).resolves.toContain("has no libggml.so")
  expect(() => parseBenchReport('{"schema":"kt_moe_bench/1"}')).toThrow("build it again")
})
