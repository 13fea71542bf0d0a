import { expect, test } from "bun:test"
import { CustomInputReader } from "./items.ts"

test("a custom tool's input is read from every split that keeps escapes whole", () => {
  const parts = ['{"input":', '"', "line 1", "\\n", '\\"q\\"', "é\\u00e9", "\\\\", '"', "}"]
  for (let mask = 0; mask < 2 ** (parts.length - 1); mask++) {
    const fragments: string[] = [""]
    parts.forEach((part, index) => {
      fragments[fragments.length - 1] += part
      if ((mask >> index) % 2 === 1) fragments.push("")
    })
    const reader = new CustomInputReader()
    expect(fragments.map((fragment) => reader.push(fragment)).join("")).toBe('line 1\n"q"éé\\')
  }
})
