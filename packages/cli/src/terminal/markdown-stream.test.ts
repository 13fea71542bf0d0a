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

test("marks are rendered: no asterisks, no fences, bullets and a frame instead", () => {
  const screen = streamed(DOCUMENT, 5).join("\n")
  expect(screen).toContain("Some bold text")
  expect(screen).toContain("• one")
  expect(screen).toContain("│ const a = 1")
  expect(screen).not.toContain("**")
  expect(screen).not.toContain("```")
})

test("an unfinished block and an unclosed fence end properly", () => {
  expect(streamed("plain *x*", 4)).toEqual(["plain x"])
  expect(streamed("```\ncode", 4)).toEqual(["┌─", "│ code", "└─"])
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
