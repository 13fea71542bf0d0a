import { expect, test } from "bun:test"
import { editDistance, nearestName } from "./nearest-name.ts"

test("distances count a swap once; far words have no nearest", () => {
  expect(editDistance("tmep", "temp")).toBe(1)
  expect(editDistance("", "abc")).toBe(3)
  expect(nearestName("srve", ["serve", "run"])).toBe("serve")
  expect(nearestName("xyzzy", ["serve", "run"])).toBeUndefined()
})
