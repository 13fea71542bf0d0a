import { describe, expect, test } from "bun:test"
import { checkComments, sentencesOf } from "./comments.ts"

const found = (text: string, path = "packages/a/src/x.ts") =>
  checkComments({ path, text }).map(({ check, line }) => `${line} ${check}`)
const words = (count: number) => Array.from({ length: count }, (_, index) => `w${index}`).join(" ")

describe("first words", () => {
  test("lines of both kinds of comment, and comments behind code, are looked at", () => {
    expect(
      found("// What it is.\n/** Of all. */\n/*\n * What else.\n */\nlet a = 1 // Of it\n"),
    ).toEqual(["1 comment-words", "2 comment-words", "4 comment-words", "6 comment-words"])
    expect(found("// What it is.\n", "native/src/a.cc")).toHaveLength(1)
  })

  test("texts of a program and words that only begin alike are left alone", () => {
    expect(found('const a = "// What it is"\n// Whatever holds. Often.\n')).toEqual([])
    expect(found("const a = `\n// Of all\n`\n")).toEqual([])
  })
})

describe("sentences", () => {
  test("25 words pass and 26 do not; the line of the first word is named", () => {
    expect(found(`// ${words(25)}.\n`)).toEqual([])
    expect(found(`// Short. ${words(10)}\n// ${words(16)}.\n`)).toEqual(["1 comment-length"])
    expect(found(`// Short.\n// ${words(26)}\n`)).toEqual(["2 comment-length"])
  })

  test("points end sentences, abbreviations and points inside a word do not", () => {
    const count = (text: string) => sentencesOf([{ text, line: 1 }]).map((each) => each.words)
    expect(count("One two. Three (four five.) Six? Seven")).toEqual([2, 3, 1, 1])
    expect(count("One e.g. two docs/abi.md three 1.5 four")).toEqual([7])
    expect(count("One `a b c` = two.")).toEqual([3])
  })

  test("list items, tags, blank lines, drawings and comments behind code end a sentence", () => {
    const parts = (second: string) => found(`// ${words(20)}\n${second}\n`)
    expect(parts(`// - ${words(20)}`)).toEqual([])
    expect(parts(`//\n// ${words(20)}`)).toEqual([])
    expect(parts(`//     ${words(40)}`)).toEqual([])
    expect(parts(`let a = 1 // ${words(20)}`)).toEqual([])
    expect(found(`/**\n * ${words(20)}\n * @param a ${words(20)}\n */\n`)).toEqual([])
  })
})
