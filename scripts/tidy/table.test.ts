import { expect, test } from "bun:test"
import { sizeTable } from "./table.ts"

test("the table counts what is too large, per language", () => {
  const long = `function long(): void {\n${"  call()\n".repeat(300)}}\n`
  const table = sizeTable([
    { path: "a.ts", text: `${long}// ${"x".repeat(100)}\n` },
    { path: "b.cc", text: "int a;\n" },
  ])
  expect(table.split("\n").map((row) => row.trim().split(/\s{2,}/))).toEqual([
    ["TypeScript", "C++"],
    ["files", "1", "1"],
    ["lines", "303", "1"],
    ["lines over 100 columns", "1", "0"],
    ["cycles", "0", "0"],
    ["functions over 40 lines", "1", "0"],
    ["files over 300 lines", "1", "0"],
  ])
})
