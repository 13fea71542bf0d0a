import { expect, test } from "bun:test"
import { Tokenizer as IndependentTokenizer } from "@huggingface/tokenizers"
import { loadTokenizer } from "../../src/tokenizer.ts"
import { DEEPSEEK_V3_CONFIG, DEEPSEEK_V3_TOKENIZER } from "../support/deepseek-v3.ts"
import { mixedText } from "../support/mixed-text.ts"

test("more than a megabyte of mixed text gets the same ids from an independent implementation", async () => {
  const tokenizer = await loadTokenizer({ kind: "tokenizer.json", path: DEEPSEEK_V3_TOKENIZER }, { requireChat: false })
  const independent = new IndependentTokenizer(
    (await Bun.file(DEEPSEEK_V3_TOKENIZER).json()) as object,
    (await Bun.file(DEEPSEEK_V3_CONFIG).json()) as object,
  )
  const text = mixedText(1_300_000)
  expect(Buffer.byteLength(text)).toBeGreaterThan(1_000_000)
  const ids = tokenizer.encode(text)
  const expected = independent.encode(text, { add_special_tokens: false }).ids
  const different = expected.findIndex((id, index) => id !== ids[index])
  const around = different < 0 ? "" : tokenizer.decode(expected.slice(Math.max(0, different - 8), different + 8))
  expect({ different, around }).toEqual({ different: -1, around: "" })
  expect(ids.length).toBe(expected.length)
  expect(tokenizer.decode(ids)).toBe(text)
}, 120_000)
