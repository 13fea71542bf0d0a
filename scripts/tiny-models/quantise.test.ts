import { expect, test } from "bun:test"
import { bf16Bits, quantiseFp4, quantiseFp8 } from "./quantise.ts"

test("BF16 rounds to nearest even", () => {
  const values = Float64Array.of(1, -2, 1 + 2 ** -8, 1 + 3 * 2 ** -8)
  expect([...bf16Bits(values)]).toEqual([0x3f80, 0xc000, 0x3f80, 0x3f82])
})

test("FP4 packs the even column low, and its scale brings the peak to at most 6", () => {
  const values = new Float64Array(32)
  values.set([6, -0.5, 1.75, 2.49, -5, 4.9])
  const { codes, scales } = quantiseFp4(values)
  expect([...scales]).toEqual([127])
  expect([...codes.subarray(0, 3)]).toEqual([0x97, 0x44, 0x6f])
  expect([...quantiseFp4(values.map((value) => value * 1.01)).scales]).toEqual([128])
})

test("FP8 has a scale per block of 128 x 128, normal and subnormal codes", () => {
  const values = new Float64Array(128 * 256)
  values.set([448, -1, 2 ** -9, 1.0625, 2 ** -6])
  values[128] = 3 * 448
  const { codes, scales } = quantiseFp8(values, 128, 256)
  expect([...scales]).toEqual([127, 129])
  expect([...codes.subarray(0, 5)]).toEqual([126, 0xb8, 1, 57, 8])
  expect(codes[128]).toBe(123) // 336 lies halfway between 320 and 352
})
