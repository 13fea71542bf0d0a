import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { ASSISTANT, BOS, DSML, EOS, THINK_OPEN, USER } from "./special-tokens.ts"
import { loadTokenizer, type Tokenizer, type TokenizerOptions } from "./tokenizer.ts"
import { MergeTable } from "./bpe/merge-table.ts"
import { BucketMerger } from "./bpe/bucket-merger.ts"
import { SymbolMerger } from "./bpe/merge-symbols.ts"
import { DEEPSEEK_V3_TOKENIZER } from "./testing/deepseek-v3.ts"
import { Random } from "@ds4/model-file/testing"
import { smallDocument, withFiles } from "./testing/small-vocabulary.ts"

const loadSmall = (options?: TokenizerOptions): Promise<Tokenizer> =>
  withFiles({ "tokenizer.json": smallDocument() }, (folder) =>
    loadTokenizer({ kind: "tokenizer.json", path: join(folder, "tokenizer.json") }, options),
  )
const small = await loadSmall()
const real = await loadTokenizer(
  { kind: "tokenizer.json", path: DEEPSEEK_V3_TOKENIZER },
  { requireChat: false },
)
const special = (text: string): number => small.special.get(text) ?? -1

const CHARACTERS = Array.from("ab hello\n\t<>｜é日本🙂𝒜\u0000\ufeff\u0301▁&/think").concat([
  USER,
  EOS,
  THINK_OPEN,
  DSML,
  "\ud800",
])

describe("control strings", () => {
  test("in plain text are ordinary characters", () => {
    for (const text of small.special.keys()) {
      const ids = small.encode(`x${text}y`)
      expect(ids.filter((id) => [...small.special.values()].includes(id))).toEqual([])
      expect(small.decode(ids)).toBe(`x${text}y`)
    }
  })

  test("count in control segments, and only there", () => {
    const ids = small.encodeSegments([
      { text: BOS + USER, control: true },
      { text: `hello${EOS}`, control: false },
      { text: ASSISTANT, control: true },
    ])
    expect(ids.slice(0, 2)).toEqual([special(BOS), special(USER)])
    expect(ids.at(-1)).toBe(special(ASSISTANT))
    expect(ids).not.toContain(special(EOS))
    expect(small.decode(ids)).toBe(`${BOS}${USER}hello${EOS}${ASSISTANT}`)
  })

  test("cannot be put together from template and foreign text", () => {
    const ids = small.encodeSegments([
      { text: "<", control: true },
      { text: USER.slice(1, -1), control: false },
      { text: ">", control: true },
    ])
    expect(ids).not.toContain(special(USER))
  })

  test("count everywhere with the legacy option", async () => {
    const legacy = await loadSmall({ legacySpecials: true })
    expect(legacy.encodeSegments([{ text: `a${USER}b`, control: false }])).toContain(special(USER))
    expect(legacy.encode(`a${USER}b`)).not.toContain(special(USER))
  })

  test("text across a segment border merges as if it were one", () => {
    const ids = small.encodeSegments([
      { text: "hel", control: true },
      { text: "lo wo", control: false },
      { text: "rld", control: true },
    ])
    expect(ids).toEqual(small.encode("hello world"))
  })

  test("long messages get the same ids every time", () => {
    const random = new Random(8)
    const texts = Array.from({ length: 5 }, () => random.text(CHARACTERS, 1500))
    for (let round = 0; round < 3; round++) {
      for (const text of texts) {
        const ids = small.encodeSegments([
          { text: USER, control: true },
          { text, control: false },
          { text: EOS, control: true },
        ])
        expect(ids).toEqual([special(USER), ...small.encode(text), special(EOS)])
      }
    }
  })

  test("sampled ids are taken as they are", () => {
    const ids = small.encodeSegments([
      { text: "he", control: false },
      { text: "llo", control: true, ids: [9, 8, 7] },
      { text: "he", control: false },
    ])
    expect(ids).toEqual([...small.encode("he"), 9, 8, 7, ...small.encode("he")])
  })
})

describe("decoding", () => {
  test("gives every text back, from both vocabularies", () => {
    const random = new Random(5)
    for (let round = 0; round < 500; round++) {
      const text = random.text(CHARACTERS, random.below(40))
      expect(small.decode(small.encode(text))).toBe(text.toWellFormed())
      expect(real.decode(real.encode(text))).toBe(text.toWellFormed())
    }
  })

  test("a stream never splits a character and ends like the whole", () => {
    const random = new Random(6)
    for (let round = 0; round < 500; round++) {
      const ids = Array.from({ length: random.below(30) }, () => random.below(small.vocab))
      const stream = small.streamDecoder()
      let text = ""
      for (const id of ids) {
        const piece = stream.push(id)
        expect(piece.isWellFormed()).toBe(true)
        text += piece
      }
      expect(text + stream.flush()).toBe(small.decode(ids))
    }
  })

  test("a character over several tokens comes out once it is whole", () => {
    const stream = small.streamDecoder()
    expect(small.encode("🙂").map((id) => stream.push(id))).toEqual(["", "", "", "🙂"])
    expect(
      small
        .encode("日")
        .slice(0, -1)
        .map((id) => stream.push(id))
        .join(""),
    ).toBe("")
    expect(stream.flush()).toBe("\ufffd")
    expect(stream.flush()).toBe("")
  })

  test("an id outside the vocabulary is refused", () => {
    for (const id of [-1, small.vocab, 1.5, Number.NaN])
      expect(() => small.decode([id])).toThrow(`${id}`)
  })
})

describe("merging", () => {
  // The definition itself: lowest rank first, leftmost on a tie, one merge at a time.
  const slow = (
    symbols: readonly number[],
    merges: readonly (readonly [number, number, number])[],
  ): number[] => {
    const result = [...symbols]
    for (;;) {
      let best = merges.length
      let at = -1
      for (let index = 0; index + 1 < result.length; index++) {
        const rank = merges.findIndex(
          ([left, right]) => left === result[index] && right === result[index + 1],
        )
        if (rank >= 0 && rank < best) [best, at] = [rank, index]
      }
      const merge = merges[best]
      if (merge === undefined) return result
      result.splice(at, 2, merge[2])
    }
  }

  test("short and long pieces follow the definition, for tables of any order", () => {
    const random = new Random(9)
    for (let round = 0; round < 200; round++) {
      const merges: [number, number, number][] = []
      for (let rank = 0; rank < 12; rank++) {
        const pair: [number, number, number] = [
          random.below(4 + rank),
          random.below(4 + rank),
          4 + rank,
        ]
        if (!merges.some(([left, right]) => left === pair[0] && right === pair[1]))
          merges.push(pair)
      }
      // Out of training order: a merge may come before the ones that make its parts.
      if (round % 2 === 1) merges.reverse()
      const table = new MergeTable(Int32Array.from(merges.flat()))
      const merger = new SymbolMerger(table)
      const buckets = table.isOrdered ? new BucketMerger(table) : undefined
      expect(table.isOrdered || round % 2 === 1).toBe(true)
      for (const length of [0, 1, 2, 7, 63, 64, 65, 200]) {
        const symbols = Int32Array.from({ length }, () => random.below(4))
        const expected = slow([...symbols], merges)
        const again = symbols.slice()
        const kept = merger.merge(symbols, length)
        expect([...symbols.subarray(0, kept)]).toEqual(expected)
        if (buckets !== undefined)
          expect([...again.subarray(0, buckets.merge(again, length))]).toEqual(expected)
      }
    }
  })

  test("a huge piece costs no more than its share", () => {
    const timeOf = (text: string): number => {
      const begin = performance.now()
      real.encode(text)
      return performance.now() - begin
    }
    for (const unit of [" ", "a", "7", "的一是", "QmFzZTY0"]) {
      const text = unit.repeat(100_000 / unit.length)
      timeOf(text)
      const small = Math.max(5, timeOf(text))
      // Quadratic work would be a hundredfold.
      expect({ unit, isLinear: timeOf(text.repeat(10)) < small * 40 }).toEqual({
        unit,
        isLinear: true,
      })
    }
  }, 240_000)

  test("ten megabytes on one line finish", () => {
    const text = "QmFzZTY0IGJsb2I".repeat(700_000)
    expect(real.decode(real.encode(text)) === text).toBe(true)
  }, 240_000)
})
