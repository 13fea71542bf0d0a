import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { unicodeRangesModule } from "./unicode-ranges.ts"

const ROOT = fileURLToPath(new URL("..", import.meta.url))

test("the tokenizer's character classes are those of Unicode 16; the script writes them", () => {
  const path = `${ROOT}/packages/tokenizer/src/bpe/unicode-ranges.ts`
  expect(readFileSync(path, "utf8")).toBe(unicodeRangesModule())
})
