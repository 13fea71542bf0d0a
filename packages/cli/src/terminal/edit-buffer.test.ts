import { describe, expect, test } from "bun:test"
import { EditBuffer } from "./edit-buffer.ts"

/** A buffer from a text whose cursor is marked by |. */
function at(marked: string): EditBuffer {
  const buffer = new EditBuffer()
  buffer.set(marked.replace("|", ""), marked.indexOf("|"))
  return buffer
}
const show = (buffer: EditBuffer) =>
  `${buffer.text.slice(0, buffer.cursor)}|${buffer.text.slice(buffer.cursor)}`
const after = (marked: string, edit: (buffer: EditBuffer) => void) => {
  const buffer = at(marked)
  edit(buffer)
  return show(buffer)
}

describe("editing", () => {
  test("moves and deletes whole characters, combined ones too", () => {
    expect(after("a👩‍👩‍👧|b", (buffer) => buffer.left())).toBe("a|👩‍👩‍👧b")
    expect(after("a👩‍👩‍👧|b", (buffer) => buffer.deleteLeft())).toBe("a|b")
    expect(after("|e\u0301x", (buffer) => buffer.deleteRight())).toBe("|x")
  })

  test("words end at punctuation, in any script", () => {
    expect(after("foo, bärbel|", (buffer) => buffer.wordLeft())).toBe("foo, |bärbel")
    expect(after("foo, |bar", (buffer) => buffer.wordLeft())).toBe("|foo, bar")
    expect(after("|foo, bar", (buffer) => buffer.wordRight())).toBe("foo|, bar")
    expect(after("|", (buffer) => buffer.wordLeft())).toBe("|")
  })

  test("what is killed can be yanked, and edits can be undone", () => {
    expect(after("one two| three", (buffer) => buffer.kill("line-end"))).toBe("one two|")
    expect(
      after("one two|", (buffer) => {
        buffer.kill("space-left")
        buffer.home()
        buffer.yank()
      }),
    ).toBe("two|one ")
    expect(
      after("one|", (buffer) => {
        buffer.insert("!")
        buffer.undo()
      }),
    ).toBe("one|")
  })

  test("home, end and vertical moves stay within their lines", () => {
    expect(after("ab\ncd|ef\ng", (buffer) => buffer.home())).toBe("ab\n|cdef\ng")
    expect(after("ab\ncdef|\ng", (buffer) => buffer.vertical(-1))).toBe("ab|\ncdef\ng")
    expect(after("ab\ncdef|\ng", (buffer) => buffer.vertical(1))).toBe("ab\ncdef\ng|")
    expect(at("a|b").vertical(-1)).toBe(false)
    expect(at("a|b").vertical(1)).toBe(false)
  })

  test("transpose swaps the characters around the cursor", () => {
    expect(after("ab|", (buffer) => buffer.transpose())).toBe("ba|")
    expect(after("|ab", (buffer) => buffer.transpose())).toBe("|ab")
  })
})
