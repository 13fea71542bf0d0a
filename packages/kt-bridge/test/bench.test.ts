import { expect, test } from "bun:test"
import { benchExperts } from "../src/index.ts"

test("the benchmark reports read and decode rates of one run", async () => {
  const figures = await benchExperts({ experts: 12, threads: 1, seconds: 0.05 })
  const ratios = Object.entries(figures).filter(([name]) => name.endsWith(".decode_of_read"))
  expect(ratios.length).toBeGreaterThan(0)
  for (const [, ratio] of ratios) expect(ratio).toBeGreaterThan(0)
}, 120_000)

test("a missing benchmark and impossible numbers are refused", () => {
  expect(benchExperts({ benchPath: "/nowhere/bench" })).rejects.toThrow("does not exist")
  expect(benchExperts({ threads: -1 })).rejects.toThrow("threads is -1")
})
