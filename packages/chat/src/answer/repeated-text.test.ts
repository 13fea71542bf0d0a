import { describe, expect, test } from "bun:test"
import { DEEPSEEK_V3_TOKENIZER } from "@ds4/tokenizer/testing"
import { loadTokenizer } from "@ds4/tokenizer"
import { Random } from "@ds4/model-file/testing"
import { tokenizer as bytes } from "../testing/answers.ts"
import { RepeatedText } from "./repeated-text.ts"

const real = await loadTokenizer(
  { kind: "tokenizer.json", path: DEEPSEEK_V3_TOKENIZER },
  { requireChat: false },
)

/** Tokens after which the text was found to repeat itself, by a real vocabulary and by bytes. */
function foundAfter(text: string, isInCall = false): (number | undefined)[] {
  return [real, bytes].map((tokenizer) => {
    const guard = new RepeatedText(tokenizer)
    const ids = tokenizer.encode(text)
    for (let end = 1; end <= ids.length; end++)
      if (guard.find(ids.slice(0, end), isInCall) !== undefined) return end
    return undefined
  })
}

const lines = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => line(index)).join("\n")
const random = new Random(8)
const letters = Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

describe("a text that repeats itself is found", () => {
  test.each([
    ["a sentence", "I will look at the file again. ".repeat(400)],
    ["a line", "Wait, let me check this.\n".repeat(400)],
    ["two words", "no way ".repeat(1000)],
    [
      "a paragraph",
      `${lines(6, (at) => `Step ${at}: look at file ${at} and go on.`)}\n`.repeat(30),
    ],
    ["another script", "我再看一遍这个文件。".repeat(400)],
    ["a heading with its separator", `${"=".repeat(20)}\nRESULT\n`.repeat(300)],
    ["equal rows of a table", "| name | value |\n".repeat(400)],
  ])("%s, after a beginning that does not", (_, repeated) => {
    const beginning = "Let me think about the question that you asked me. "
    for (const end of foundAfter(beginning + repeated)) {
      expect(end).toBeGreaterThan(500)
      expect(end).toBeLessThan(2200)
    }
  })

  test("inside a call after more of it", () => {
    for (const end of foundAfter("echo again and again\n".repeat(5000), true)) {
      expect(end).toBeGreaterThan(16_384)
      expect(end).toBeLessThan(17_500)
    }
  })

  test("the end of the answer counts, not its beginning", () => {
    const [repeated, other] = ["I will look again. ".repeat(30), lines(400, (at) => `row ${at}`)]
    expect(foundAfter(repeated + other)).toEqual([undefined, undefined])
  })

  test("text without words after very much of it", () => {
    for (const end of foundAfter("! ? ".repeat(9000))) {
      expect(end).toBeGreaterThan(8000)
      expect(end).toBeLessThan(9000)
    }
  })
})

describe("ordinary text is left alone", () => {
  test.each([
    ["a list", lines(300, (at) => `${at + 1}. item`)],
    ["a list of equal points with other values", lines(300, (at) => `- the price is ${at * 7} €`)],
    ["a table", lines(300, (at) => `| user ${at} | yes | ${at % 7} |`)],
    ["rows of a CSV file", lines(400, (at) => `2024-01-01,sensor,ok,${at},0,0,0`)],
    ["rows of code", lines(400, (at) => `  expect(list[${at}]).toBe(${(at * 31) % 97})`)],
    ["an array of zeros", "0, 0, 0, 0, 0, 0, 0, 0,\n".repeat(250)],
    ["a table of bytes", "0xff, 0xff, 0x00, 0x00,\n".repeat(200)],
    ["a long separator", `${"=".repeat(3000)}\n${"-".repeat(3000)}`],
    ["separators of a table", `|${" --- |".repeat(600)}`],
    ["a form to fill in", "|  |  |  |\n".repeat(400)],
    ["a drawn line", "─".repeat(1500)],
    ["base64", Array.from({ length: 6000 }, () => random.pick(letters)).join("")],
    ["base64 of equal bytes", Buffer.alloc(4500).toString("base64")],
    ["base64 of equal bytes in lines", `${"A".repeat(76)}\n`.repeat(60)],
    ["hexadecimal digits", "ff00 ".repeat(900)],
    ["a text said three times", lines(10, (at) => `Line ${at} of the poem.`).repeat(3)],
    ["white space", `${" ".repeat(3000)}x`],
  ])("%s", (_, text) => {
    expect(foundAfter(text)).toEqual([undefined, undefined])
  })

  test("equal lines of a file in a call", () => {
    const file = '{ "name": "", "size": 0 },\n'.repeat(600)
    expect(foundAfter(file, true)).toEqual([undefined, undefined])
  })
})
