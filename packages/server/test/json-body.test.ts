import { describe, expect, test } from "bun:test"
import { findSyntaxError, parseJson, readBody } from "../src/http/json-body.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

describe("parseJson", () => {
  const broken: [string, number][] = [
    ["", 0], ["{", 1], ['{"a"}', 4], ['{"a":}', 5], ['{"a":1 "b":2}', 7], ['{"é":tru}', 6], ["[1,]", 3], ['{"a":"\n"}', 6],
    ['{"a":"\\q"}', 6], ['{"a":1}x', 7], ["{'a':1}", 1], ["[01]", 2], ['{"a":1,}', 7], ['"abc', 4],
  ]
  test.each(broken)("names the byte where %j stops being JSON", (text, offset) => {
    expect(() => parseJson(bytes(text), 128)).toThrow(`at byte ${offset}`)
  })

  test("accepts what JSON.parse accepts and finds a fault in every truncation", () => {
    const text = JSON.stringify({ messages: [{ role: "user", content: 'é🙂 "quoted\\" \n' }], n: -1.5e-7, t: [true, false, null, {}, []] })
    expect(parseJson(bytes(text), 128)).toEqual(JSON.parse(text))
    const all = bytes(text)
    for (let end = 0; end < all.length; end++) {
      expect(() => parseJson(all.subarray(0, end), 128)).toThrow(/invalid JSON request/)
      expect(findSyntaxError(all.subarray(0, end)).offset).toBeLessThanOrEqual(end)
    }
  })

  test("refuses nesting beyond the limit, and does not count brackets in strings", () => {
    expect(parseJson(bytes("[".repeat(128) + "]".repeat(128)), 128)).toBeDefined()
    expect(() => parseJson(bytes("[".repeat(129) + "]".repeat(129)), 128)).toThrow("nested deeper than 128 levels at byte 128")
    expect(parseJson(bytes(`{"a":"${"[".repeat(1000)}\\"${"{".repeat(1000)}"}`), 128)).toBeDefined()
    expect(() => parseJson(bytes("[".repeat(5_000_000)), 128)).toThrow("nested deeper")
  })

  test("refuses a body that is not UTF-8", () => {
    expect(() => parseJson(new Uint8Array([0x22, 0xff, 0x22]), 128)).toThrow("not UTF-8")
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
