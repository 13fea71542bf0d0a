import { expect, test } from "bun:test"
import { planMarks } from "./plan-marks.ts"

test("a mark is taken where much lies behind the last one, more often near the end", () => {
  expect(planMarks([100, 400, 700], 0, 703)).toEqual([100, 400, 700])
  expect(planMarks([10, 60, 100], 0, 103)).toEqual([100])
  // Old messages of 100 tokens are passed over until 512 have come together.
  const begins = Array.from({ length: 9 }, (_, index) => 100 * (index + 1))
  expect(planMarks(begins, 0, 903)).toEqual([100, 600, 700, 800, 900])
})

test("the beginning that is cached and the last token are left alone", () => {
  expect(planMarks([100, 400, 700], 400, 703)).toEqual([700])
  expect(planMarks([100, 400, 700], 690, 703)).toEqual([])
  expect(planMarks([100, 400], 0, 400)).toEqual([100])
  expect(planMarks([0, 5], 0, 400)).toEqual([])
})
