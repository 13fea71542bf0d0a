import { expect, test } from "bun:test"
import { MarkdownStream, rowsOf } from "./markdown-stream.ts"
import { printable } from "./printable.ts"
import { drawn } from "../testing/screen.ts"

/** Rows of the screen after a text streamed in pieces of `size` characters. */
function streamed(text: string, size: number, columns = 40, rows = 24): string[] {
  let output = ""
  const stream = new MarkdownStream({
    write: (piece) => (output += piece),
    columns: () => columns,
    rows: () => rows,
  })
  for (let at = 0; at < text.length; at += size) stream.push(text.slice(at, at + size))
  stream.end()
  return drawn(output, columns)
}

const DOCUMENT =
  "# Title\n\nSome **bold** text that is long enough to wrap at forty columns.\n\n- one\n- two\n" +
  "\n```ts\nconst a = 1\n```\n\nend\n"

test("the result does not depend on how the text was cut", () => {
  const whole = streamed(DOCUMENT, DOCUMENT.length)
  for (const size of [1, 2, 3, 7, 19]) expect(streamed(DOCUMENT, size)).toEqual(whole)
})

test("marks are rendered: no asterisks, no fences, bullets and two rules instead", () => {
  const screen = streamed(DOCUMENT, 5).join("\n")
  expect(screen).toContain("Some bold text")
  expect(screen).toContain("• one")
  expect(screen).toContain("\n┌─ ts\nconst a = 1\n└─\n")
  expect(screen).not.toContain("**")
  expect(screen).not.toContain("```")
})

test("an unfinished block and an unclosed fence end properly", () => {
  expect(streamed("plain *x*", 4)).toEqual(["plain x"])
  expect(streamed("```\ncode", 4)).toEqual(["┌─", "code", "└─"])
})

test("control characters of a model never reach the terminal", () => {
  expect(printable("a\x1b[2Jb\x07\r\nc\td\x9b")).toBe("a\ufffd[2Jb\ufffd\nc\td\ufffd")
})

test("rows count wraps and wide characters", () => {
  expect(rowsOf("", 10)).toBe(1)
  expect(rowsOf("a".repeat(10), 10)).toBe(1)
  expect(rowsOf("a".repeat(11), 10)).toBe(2)
  expect(rowsOf("漢".repeat(6), 10)).toBe(2)
})

const PYTHON = [
  "def f(x):",
  "  if x:",
  '    return "a`b"  # héllo',
  "",
  "    return {}",
  "# │ not a bar",
]
const fenced = (before: string, open: string, indent: string) =>
  [
    before,
    `${open}python`,
    ...PYTHON.map((line) => `${indent}${line}`),
    `${indent}\`\`\``,
    "after",
    "",
  ].join("\n")

/** Rows between the two rules. */
function codeRows(screen: readonly string[]): string[] {
  const begin = screen.findIndex((row) => row.includes("┌─"))
  return screen.slice(begin + 1, screen.indexOf("└─", begin))
}

test.each([
  ["alone", fenced("text\n", "```", "")],
  ["right after a paragraph", fenced("text", "```", "")],
  ["indented in a list", fenced("1. do this:", "   ```", "   ")],
  ["deep in a list", fenced("- a\n    - b\n", "        ```", "        ")],
  ["as the item of a list itself", fenced("", "- ```", "  ")],
  ["quoted", fenced("> says:", "> ```", "> ")],
])("code %s stands on the screen as it was written, with nothing in front", (_, text) => {
  for (const size of [1, 5, text.length]) {
    const rows = codeRows(streamed(text, size, 60, 40))
    expect(rows).toEqual(PYTHON.map((line) => line.trimEnd()))
  }
})

test("indented code keeps its lines without bars, and a table keeps its frame", () => {
  const screen = streamed("text:\n\n    let a = 1\n    let b = 2\n\nend\n", 3)
  expect(screen).toContain("    let a = 1")
  expect(screen.join("\n")).not.toContain("│")
  expect(streamed("| a | b |\n|---|---|\n| 1 | 2 |\n\n", 3).join("\n")).toContain("│ 1")
})

test("a longer mark and other words do not end a block; code marks within a line open none", () => {
  expect(streamed("````md\n```js\nx\n```\n````\nend\n", 2)).toEqual([
    "┌─ md",
    "```js",
    "x",
    "```",
    "└─",
    "end",
  ])
  expect(streamed("```not code``` is text\n", 4)).toEqual(["not code is text"])
})

test("highlighting changes no character of any line", () => {
  const lines = ["  x  = 'tab\there'", "\\ ` ~ < & &amp;", "a │ b", "```", "🙂 漢字", "   "]
  for (const language of ["js", "python", "sh", "html", "no-such-language"]) {
    let output = ""
    const stream = new MarkdownStream({
      write: (piece) => (output += piece),
      columns: () => 80,
      rows: () => 40,
    })
    stream.push(`~~~${language}\n${lines.join("\n")}\n~~~\n`)
    stream.end()
    const rows = output // what follows the last erasure of a row stays on it
      .split("\n")
      .map((row) => Bun.stripANSI(row.split("\r\x1b[J").at(-1) ?? ""))
    expect(rows.slice(1, -2)).toEqual(lines)
  }
})
