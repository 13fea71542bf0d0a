import { expect, test } from "bun:test"
import { checkWidth } from "./width.ts"

test("100 code points pass and 101 do not; characters of several bytes count once", () => {
  const find = (text: string, path = "native/src/a.cc") =>
    checkWidth({ path, text }).map(({ line, message }) => `${line}: ${message}`)
  expect(find(`${"x".repeat(100)}\n${"😀".repeat(100)}\n`)).toEqual([])
  expect(find(`\n${"x".repeat(101)}\n`)).toEqual(["2: 101 columns; at most 100"])
  expect(find("x".repeat(101), "docs/a.md")).toEqual([])
})
