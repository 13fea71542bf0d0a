import { expect, test } from "bun:test"
import { formatBytes, formatCount, formatDuration, formatNumber, formatWhole } from "./figures.ts"

test("bytes have three digits and the unit that keeps them short", () => {
  for (const [bytes, text] of [
    [0, "0 bytes"],
    [1, "1 byte"],
    [1023, "1023 bytes"],
    [1024, "1.00 KiB"],
    [1010 * 2 ** 20, "1010 MiB"],
    [1023.4 * 2 ** 20, "1023 MiB"],
    [1023.7 * 2 ** 20, "1.00 GiB"],
    [99.96 * 2 ** 30, "100 GiB"],
    [5.58 * 2 ** 20, "5.58 MiB"],
    [21.3 * 2 ** 30, "21.3 GiB"],
    [5000 * 2 ** 50, "5000 PiB"],
  ] as const)
    expect(formatBytes(bytes)).toBe(text)
})

test("no size and no count has an exponent", () => {
  for (let power = 0; power < 62; power++)
    for (const factor of [0.9994, 0.9999, 1, 1.0004, 1.37]) {
      const size = Math.round(2 ** power * factor)
      expect(formatBytes(size)).not.toMatch(/\de/)
      expect(formatCount(size)).not.toMatch(/\de/)
    }
})

test("counts have four digits", () => {
  for (const [count, text] of [
    [999, "999"],
    [1010, "1.010 K"],
    [999_960, "1.000 M"],
    [13_200_000, "13.20 M"],
    [284_300_000_000, "284.3 B"],
    [12_345_678e12, "12345678 T"],
  ] as const)
    expect(formatCount(count)).toBe(text)
  expect(formatWhole(1_048_576)).toBe("1,048,576")
})

test("small numbers are written out, very small ones named so", () => {
  for (const [value, text] of [
    [0, "0"],
    [0.00314, "0.00314"],
    [2.2e-5, "0.0000220"],
    [-0.5, "-0.500"],
    [3.58, "3.58"],
    [1010, "1010"],
    [1e-9, "under 0.000001"],
  ] as const)
    expect(formatNumber(value)).toBe(text)
})

test("time spans read as clocks do", () => {
  for (const [seconds, text] of [
    [0, "0:00"],
    [9.6, "0:10"],
    [150, "2:30"],
    [3750, "1:02:30"],
    [-1, "0:00"],
  ] as const)
    expect(formatDuration(seconds)).toBe(text)
})
