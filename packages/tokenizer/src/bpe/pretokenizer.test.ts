import { describe, expect, test } from "bun:test"
import { createRequire } from "node:module"
import { SPLIT_PATTERNS, splitPieces } from "./pretokenizer.ts"
import recorded from "../../fixtures/pretokenize.json"
import { isWordUnit } from "./unicode-classes.ts"
import { Random } from "@ds4/model-file/testing"

// The oracle: the three patterns as regular expressions, with the properties of Unicode 16 spelled
// out: those of the runtime are another version's. JavaScript's \s also knows U+FEFF and lacks
// U+0085.
const load = createRequire(import.meta.url)
const propertyClass = (property: string): string => {
  const path = `regenerate-unicode-properties/${property}.js`
  // the package has no types; each of its modules is a set that writes itself as a class
  const { characters } = load(path) as { characters: RegenerateSet }
  return characters.toString({ hasUnicodeFlag: true }).replace(/^\[(.*)\]$/s, "$1")
}
interface RegenerateSet {
  toString(options: { hasUnicodeFlag: boolean }): string
}
const SPACE = propertyClass("Binary_Property/White_Space")
const CATEGORIES: ReadonlyMap<string, string> = new Map(
  Object.entries({ L: "Letter", M: "Mark", N: "Number", P: "Punctuation", S: "Symbol" }).map(
    ([letter, name]) => [letter, propertyClass(`General_Category/${name}`)],
  ),
)
const compile = (source: string): RegExp => {
  const spelled = source
    .replace(/^\\p\{N\}/, "[\\p{N}]") // the only one outside a class
    .replace(/\\p\{(.)\}/g, (_, letter: string) => CATEGORIES.get(letter) ?? "")
    .replaceAll("\\s", `[${SPACE}]`)
    .replaceAll("\\S", `[^${SPACE}]`)
  return new RegExp(spelled, "gu")
}

const isolate = (pattern: RegExp, text: string): string[] => {
  const pieces: string[] = []
  let end = 0
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) pieces.push(text.slice(end, match.index))
    pieces.push(match[0])
    end = match.index + match[0].length
  }
  if (end < text.length) pieces.push(text.slice(end))
  return pieces
}
// P3 as the vocabulary file writes it escapes characters that need none, which the u flag refuses.
const ORACLE = SPLIT_PATTERNS.map((source) => compile(source.replace("\\-", "\\x2d")))
const oracle = (text: string): string[] =>
  ORACLE.reduce(
    (pieces, pattern) => pieces.flatMap((piece) => isolate(pattern, piece)),
    text === "" ? [] : [text],
  )

const ALPHABET = Array.from(
  "aZ19 \t\n\r.,'\"<>~_-/\\$+" +
    "é\u00df\u0301\u0489\u00a0\u0085\u2003\u2028\u3000\u200b\ufeff\u0000\u0007" +
    "日本語ぁゟ゠ヿ・゛\u3040龥龦々〆Ⅷ²½٣۵०。，！｜▁" +
    "🙂👩\u200d💻𝒜𝟙𐍈𠀀🇩\u{e0041}\u{1d165}\u{10ffff}\u{1f100}",
)

describe("pretokenizer", () => {
  test("the patterns are those of the recorded cases", () => {
    expect(SPLIT_PATTERNS).toEqual(recorded.patterns)
  })

  for (const [index, { text, pieces }] of recorded.cases.entries()) {
    test(`recorded case ${index}: ${JSON.stringify(text).slice(0, 40)}`, () => {
      expect(splitPieces(text)).toEqual(pieces)
      expect(oracle(text)).toEqual(pieces)
    })
  }

  test("equals the regular expressions on random strings of awkward characters", () => {
    const random = new Random(20260401)
    for (let round = 0; round < 6000; round++) {
      const text = random.text(ALPHABET, 1 + random.below(24))
      expect({ text, pieces: splitPieces(text) }).toEqual({ text, pieces: oracle(text) })
    }
  })

  test("characters that Unicode 17 added are none yet, whatever the runtime knows", () => {
    // Letters, digits and an emoji: a letter would take the space before it, a digit the next one.
    expect(splitPieces(" \u{18da3}")).toEqual([" ", "\u{18da3}"])
    expect(splitPieces("\u{11de6}93")).toEqual(["\u{11de6}", "93"])
    expect(splitPieces(" \u{1fa8e}")).toEqual([" ", "\u{1fa8e}"])
    expect(splitPieces("a \u1acf")).toEqual(["a", " ", "\u1acf"])
    expect(isWordUnit(0x1acf)).toBe(false)
    expect(isWordUnit(0x1ace)).toBe(true)
  })

  test("equals the regular expressions for every code point, alone and between letters", () => {
    let block = ""
    const blocks: string[] = []
    for (let codePoint = 0; codePoint < 0x110000; codePoint++) {
      if (codePoint >= 0xd800 && codePoint <= 0xdfff) continue
      // Planes 4 to 13 are unassigned throughout: a sample of each is enough.
      if (codePoint >= 0x40000 && codePoint < 0xe0000 && codePoint % 4093 !== 0) continue
      const character = String.fromCodePoint(codePoint)
      block += `${character}a ${character}\n${character}${character}1`
      if (block.length > 40_000) {
        blocks.push(block)
        block = ""
      }
    }
    blocks.push(block)
    for (const text of blocks) {
      const actual = splitPieces(text)
      const expected = oracle(text)
      const different = expected.findIndex((piece, index) => piece !== actual[index])
      expect(different < 0 ? [] : [actual[different], expected[different]]).toEqual([])
      expect(actual.length).toBe(expected.length)
    }
  }, 240_000)
})
