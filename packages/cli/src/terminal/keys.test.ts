import { describe, expect, test } from "bun:test"
import { KeyDecoder, type Key } from "./keys.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const decode = (...chunks: string[]) => {
  const decoder = new KeyDecoder()
  return chunks.flatMap((chunk) => decoder.push(bytes(chunk)))
}
const key = (name: string): Key => ({ type: "key", name: name as "enter" })

describe("keys", () => {
  test("typed text comes in one piece, control characters apart", () => {
    expect(decode("héllo\r")).toEqual([{ type: "text", text: "héllo" }, key("enter")])
    expect(decode("\x01a\x05\x7f")).toEqual([
      key("ctrl-a"),
      { type: "text", text: "a" },
      key("ctrl-e"),
      key("backspace"),
    ])
  })

  test("arrows, word moves and Alt+Enter are named", () => {
    expect(decode("\x1b[A\x1bOB\x1b[1;5D\x1bf\x1b\r")).toEqual([
      key("up"),
      key("down"),
      key("word-left"),
      key("word-right"),
      key("newline"),
    ])
  })

  test("a sequence or a character split between chunks is one key", () => {
    expect(decode("\x1b", "[", "C")).toEqual([key("right")])
    const euro = bytes("€")
    const decoder = new KeyDecoder()
    expect([...decoder.push(euro.slice(0, 1)), ...decoder.push(euro.slice(1))]).toEqual([
      { type: "text", text: "€" },
    ])
  })

  test("a paste is one block whatever it holds, at every split", () => {
    const stream = "\x1b[200~one\r\ntwo\x03\x1b[A\rthree\x1b[201~x"
    for (let cut = 1; cut < stream.length; cut++) {
      const keys = decode(stream.slice(0, cut), stream.slice(cut))
      expect(keys).toEqual([
        { type: "paste", text: "one\ntwo\x03\x1b[A\nthree" },
        { type: "text", text: "x" },
      ])
    }
  })

  test("a lone Escape is told by silence", () => {
    const decoder = new KeyDecoder()
    expect(decoder.push(bytes("\x1b"))).toEqual([])
    expect(decoder.isWaiting).toBe(true)
    expect(decoder.flush()).toEqual([key("escape")])
    expect(decoder.isWaiting).toBe(false)
  })

  test("unknown sequences disappear instead of becoming text", () => {
    expect(decode("\x1b[99;99Zok")).toEqual([{ type: "text", text: "ok" }])
  })
})
