import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathsFrom } from "./complete-path.ts"
import { candidateRows, completedWord } from "./completion.ts"

let folder = ""
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ds4-complete-"))
  mkdirSync(join(folder, "notes.d"))
  for (const name of ["notes.txt", "numbers.csv", ".hidden", "a b", "bell\x07", "notes.d/deep.md"])
    writeFileSync(join(folder, name), "")
  symlinkSync("nowhere", join(folder, "broken"))
})
afterAll(() => rmSync(folder, { recursive: true }))

test("one candidate is taken whole, several as far as they agree", () => {
  expect(completedWord("/re", ["/reasoning"])).toBe("/reasoning ")
  expect(completedWord("src", ["src/"])).toBe("src/")
  expect(completedWord("n", ["notes.txt", "notes.d/"])).toBe("notes.")
  expect(completedWord("notes.", ["notes.txt", "notes.d/"])).toBeUndefined()
  expect(completedWord("x", [])).toBeUndefined()
  expect(completedWord("", ["😀", "😁"])).toBeUndefined() // not half of a character
})

test("candidates stand in columns of the terminal's width; a flood is cut", () => {
  const words = Array.from({ length: 12 }, (_, index) => `word-${index}`)
  const rows = candidateRows(words, 40)
  expect(rows.every((row) => row.length < 40)).toBe(true)
  expect(rows.join(" ").split(/ +/).toSorted()).toEqual(words.toSorted())
  expect(candidateRows(words, 5)).toEqual(words)
  const flood = Array.from({ length: 250 }, (_, index) => `w${index}`)
  expect(candidateRows(flood, 80).at(-1)).toBe("and 150 more")
})

test("paths: folders end in a slash, hidden ones want a dot, unusable names are left out", () => {
  const paths = (typed: string) =>
    pathsFrom(join(folder, "x").slice(0, -1) + typed).map((path) => path.slice(folder.length + 1))
  expect(paths("")).toEqual(["broken", "notes.d/", "notes.txt", "numbers.csv"])
  expect(paths("no")).toEqual(["notes.d/", "notes.txt"])
  expect(paths(".h")).toEqual([".hidden"])
  expect(paths("notes.d/")).toEqual(["notes.d/deep.md"])
  expect(paths("absent/x")).toEqual([])
  expect(pathsFrom("/et")).toContain("/etc/")
})
