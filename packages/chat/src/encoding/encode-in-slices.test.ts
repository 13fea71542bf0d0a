import { expect, test } from "bun:test"
import type { Segment } from "@ds4/tokenizer"
import { encodeInSlices, safeCut, sliceSegments } from "./encode-in-slices.ts"
import { byteTokenizer } from "@ds4/tokenizer/testing"

const tokenizer = byteTokenizer()

const PIECES = [
  "the",
  " and",
  " world",
  "\n",
  "\n\n",
  "  ",
  "   ",
  "123",
  "4567",
  ".",
  ".\n",
  "{\n",
  " {",
  "日本語",
  "。",
  "の",
  "привет",
  " мир",
  "\u0301",
  "٣",
  "²",
  "ー",
  "龥龦",
  "é",
  "🙂",
  "\t",
  "</",
  "tool",
  "a1",
  "b 2",
  "\r\n",
  "!foo",
  "x\ny",
  "_",
]

/** Small deterministic generator, so that a failure can be repeated from its seed. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => (state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff) / 0x8000_0000
}

function randomSegments(seed: number): Segment[] {
  const random = randomOf(seed)
  return Array.from({ length: 1 + Math.floor(random() * 6) }, () => {
    if (random() < 0.3)
      return { text: random() < 0.5 ? "<｜User｜>" : "\n\n<｜DSML｜tool_calls>\n", control: true }
    if (random() < 0.1) return { text: "the\n", control: true, ids: tokenizer.encode("the\n") }
    return {
      text: Array.from(
        { length: Math.floor(random() * 60) },
        () => PIECES[Math.floor(random() * PIECES.length)],
      ).join(""),
      control: false,
    }
  })
}

test(
  "sliced encoding gives exactly the ids of whole encoding, for random segments and slice " +
    "sizes",
  async () => {
    for (let seed = 1; seed <= 400; seed++) {
      const segments = randomSegments(seed)
      const sliceUnits = 1 + (seed % 37)
      const sliced = await encodeInSlices({ tokenizer }, segments, sliceUnits)
      expect({ seed, ids: sliced }).toEqual({ seed, ids: tokenizer.encodeSegments(segments) })
    }
  },
)

test("slices are really cut, and only where tokens part", () => {
  const text = "the and world\nthe123 and\n".repeat(40)
  const groups = [...sliceSegments([{ text, control: false }], 64)]
  expect(groups.length).toBeGreaterThan(10)
  expect(
    groups
      .flat()
      .map((segment) => segment.text)
      .join(""),
  ).toBe(text)
  expect(safeCut("....", 1)).toBe(4)
  expect(safeCut("ab\ncd", 1)).toBe(3)
  expect(safeCut("abc123", 1)).toBe(3)
})
