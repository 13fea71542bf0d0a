import { afterEach, beforeEach, expect, test } from "bun:test"
import {
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { HistorySearch } from "./history-search.ts"
import { History } from "./history.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ds4-history-"))
})
afterEach(() => rmSync(folder, { recursive: true }))

test("entries survive with their line breaks and backslashes, for their owner only", () => {
  const path = join(folder, "deep/history")
  const history = new History(path)
  history.add("one\ntwo \\n three")
  history.add("last")
  expect(new History(path).entries).toEqual(["one\ntwo \\n three", "last"])
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test("blank entries, repetitions and entries that begin with a space are not kept", () => {
  const history = new History(join(folder, "history"))
  for (const text of ["a", "a", " secret", "   ", "b"]) history.add(text)
  expect(history.entries).toEqual(["a", "b"])
})

test("the newest 2000 entries are kept", () => {
  const path = join(folder, "history")
  const history = new History(path)
  for (let index = 0; index < 2005; index++) history.add(`entry ${index}`)
  expect(history.entries).toHaveLength(2000)
  expect(readFileSync(path, "utf8").split("\n")[0]).toBe("entry 5")
})

test("search goes backwards, again further, and can be given up", () => {
  const history = new History(join(folder, "history"))
  for (const text of ["git log", "ls", "git diff", "cat"]) history.add(text)
  const search = new HistorySearch(history, "draft")
  search.take({ type: "text", text: "git" })
  expect(search.found).toBe("git diff")
  search.take({ type: "key", name: "ctrl-r" })
  expect(search.found).toBe("git log")
  expect(search.take({ type: "key", name: "ctrl-g" })).toBe("cancelled")
  expect(search.original).toBe("draft")
})

test("a history that is a link stays a link: to a file elsewhere, or to nowhere", () => {
  const [file, link, silent] = ["kept", "link", "silent"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(file, "before\n")
  symlinkSync(file, link)
  symlinkSync("/dev/null", silent)
  for (const path of [link, silent]) {
    new History(path).add("typed")
    expect(lstatSync(path).isSymbolicLink()).toBe(true)
  }
  expect(readFileSync(file, "utf8")).toBe("before\ntyped\n")
  expect(lstatSync("/dev/null").isCharacterDevice()).toBe(true)
})
