import { expect, test } from "bun:test"
import { MeasuredRate, Worth } from "./worth.ts"

test("a rate is assumed until it is measured, and then follows its measurements", () => {
  const rate = new MeasuredRate(100)
  expect(rate.perSecond).toBe(100)
  rate.add(3, 0.001, 64) // tells of nothing but overhead
  expect(rate.perSecond).toBe(100)
  rate.add(1000, 2, 64)
  expect(rate.perSecond).toBe(500)
  rate.add(2000, 2, 64)
  expect(rate.perSecond).toBeCloseTo(650)
  rate.add(2000, 0)
  expect(rate.perSecond).toBeCloseTo(650)
})

test("a state is saved when it spares time that is felt, and more than its writing takes", () => {
  const worth = new Worth()
  worth.prefill.add(1000, 10) // 100 tokens a second
  worth.written.add(1e6, 1) // 1 MB a second
  expect(worth.isWorthSaving(49, 1000)).toBe(false)
  expect(worth.isWorthSaving(50, 1000)).toBe(true)
  expect(worth.isWorthSaving(50, 600_000)).toBe(false)
  expect(new Worth(0.1).isWorthSaving(20, 1000)).toBe(true)
})

test("a state is loaded when that is faster than reading the prompt", () => {
  const worth = new Worth()
  worth.prefill.add(1000, 10)
  worth.read.add(1e6, 1)
  expect([worth.isWorthLoading(100, 9e5), worth.isWorthLoading(100, 2e6)]).toEqual([true, false])
})
