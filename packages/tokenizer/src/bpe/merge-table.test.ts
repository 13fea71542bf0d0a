import { expect, test } from "bun:test"
import { MergeTable } from "./merge-table.ts"

test("a pair has the rank of its first merge, in its own order", () => {
  const table = new MergeTable(Int32Array.of(1, 2, 10, 2, 1, 11, 1, 2, 12, 10, 11, 13))
  expect([table.rank(1, 2), table.rank(2, 1), table.rank(10, 11)]).toEqual([0, 1, 3])
  expect([table.rank(2, 2), table.rank(11, 10)]).toEqual([-1, -1])
  expect([...table.joined]).toEqual([10, 11, 12, 13])
})
