import { expect, test } from "bun:test"
import { Tokenizer as IndependentTokenizer } from "@huggingface/tokenizers"
import { loadTokenizer } from "./tokenizer.ts"
import { DEEPSEEK_V3_CONFIG, DEEPSEEK_V3_TOKENIZER } from "./testing/deepseek-v3.ts"
import { Random } from "@ds4/model-file/testing"
import { mixedText } from "./testing/mixed-text.ts"

const tokenizer = await loadTokenizer(
  { kind: "tokenizer.json", path: DEEPSEEK_V3_TOKENIZER },
  { requireChat: false },
)
const independent = new IndependentTokenizer(
  (await Bun.file(DEEPSEEK_V3_TOKENIZER).json()) as object,
  (await Bun.file(DEEPSEEK_V3_CONFIG).json()) as object,
)

const checkAgreement = (text: string): void => {
  const ids = tokenizer.encode(text)
  const expected = independent.encode(text, { add_special_tokens: false }).ids
  const different = expected.findIndex((id, index) => id !== ids[index])
  const around =
    different < 0 ? "" : tokenizer.decode(expected.slice(Math.max(0, different - 8), different + 8))
  expect({ different, around }).toEqual({ different: -1, around: "" })
  expect(ids.length).toBe(expected.length)
  expect(tokenizer.decode(ids)).toBe(text)
}

test("more than a megabyte of mixed text gets the same ids from an independent " +
  "implementation", () => {
  const text = mixedText(1_300_000)
  expect(Buffer.byteLength(text)).toBeGreaterThan(1_000_000)
  checkAgreement(text)
}, 480_000)

test("so do single pieces of tens of thousands of characters", () => {
  const random = new Random(17)
  checkAgreement(random.text(Array.from("abcdefghijklmnopqrstuvwxyz"), 40_000))
  checkAgreement(random.text(Array.from("的一是不了人我在有他这为之大来以个中上们"), 20_000))
  for (const unit of [" ", "a", "ab", "\t", "=", "é"]) checkAgreement(unit.repeat(20_000))
}, 240_000)
