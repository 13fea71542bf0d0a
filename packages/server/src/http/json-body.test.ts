import { describe, expect, test } from "bun:test"
import { parseBody, readBody } from "./json-body.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

describe("parseBody", () => {
  const broken: [string, number][] = [
    ["", 0],
    ["{", 1],
    ['{"a"}', 4],
    ['{"a":}', 5],
    ['{"a":1 "b":2}', 7],
    ['{"é":tru}', 6],
    ["[1,]", 3],
    ['{"a":"\n"}', 5],
    ['{"a":"\\q"}', 5],
    ['{"a":1}x', 7],
    ["{'a':1}", 1],
    ["[01]", 2],
    ['{"a":1,}', 7],
    ['"abc', 0],
  ]
  test.each(broken)("names the byte where %j stops being JSON", (text, offset) => {
    expect(() => parseBody(bytes(text))).toThrow(`invalid JSON request at byte ${offset}: `)
  })

  test("accepts what JSON.parse accepts and refuses every truncation", () => {
    const text = JSON.stringify({
      messages: [{ role: "user", content: 'é🙂 "quoted\\" \n' }],
      n: -1.5e-7,
      t: [true, false, null, {}, []],
    })
    expect(parseBody(bytes(text))).toEqual(JSON.parse(text))
    const all = bytes(text)
    for (let end = 0; end < all.length; end++)
      expect(() => parseBody(all.subarray(0, end))).toThrow(/invalid JSON request/)
  })

  test("refuses nesting beyond 128 levels, and does not count brackets in strings", () => {
    expect(parseBody(bytes("[".repeat(128) + "]".repeat(128)))).toBeDefined()
    expect(() => parseBody(bytes("[".repeat(5_000_000)))).toThrow("deeper than 128 levels")
    expect(parseBody(bytes(`{"a":"${"[".repeat(1000)}\\"${"{".repeat(1000)}"}`))).toBeDefined()
  })

  test("reads a message of megabytes with escapes", () => {
    const content = 'line \n "quoted" '.repeat(300_000)
    expect(parseBody(bytes(JSON.stringify({ content })))).toEqual({ content })
  })

  test("refuses a body that is not UTF-8", () => {
    expect(() => parseBody(new Uint8Array([0x22, 0xff, 0x22]))).toThrow("not UTF-8")
  })
})

test("a chunked body is refused as soon as it passes the limit", async () => {
  let pulled = 0
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++
      controller.enqueue(new Uint8Array(1000))
    },
  })
  const request = new Request("http://localhost/", { method: "POST", body: stream })
  const failure = await readBody(request, 10_000).catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: "TOO_LARGE" })
  expect(pulled).toBeLessThan(20)
})
