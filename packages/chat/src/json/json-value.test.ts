import { describe, expect, test } from "bun:test"
import {
  MAX_JSON_DEPTH,
  jsonNodesEqual,
  parseJsonNode,
  tryParseJsonNode,
  writeJsonNode,
} from "./json-node.ts"
import { JsonError } from "./json-lexer.ts"
import { jsonNodeOf, jsonSourceOf, parseJson, parseJsonInSlices } from "./json-value.ts"
import { Random } from "@ds4/model-file/testing"

const NO_LIMITS = { values: Infinity, containers: Infinity, members: Infinity }

const offsetOf = (text: string): number => {
  try {
    parseJsonNode(text)
  } catch (error) {
    if (error instanceof JsonError) return error.offset
    throw error
  }
  return -1
}

describe("JSON that keeps its spelling", () => {
  test("order, numbers and non-ASCII characters survive; the style is the writer's", () => {
    const node = parseJsonNode(
      ' {"2":1.0, "1" : [1e5,-0,12345678901234567890], "é":"\\u00e9\\/\\n"}\n',
    )
    expect(writeJsonNode(node, "spaced")).toBe(
      '{"2": 1.0, "1": [100000.0, 0, 12345678901234567890], "é": "é/\\n"}',
    )
    expect(writeJsonNode(node, "minified")).toBe(
      '{"2":1.0,"1":[1e5,-0,12345678901234567890],"é":"é/\\n"}',
    )
  })

  test("of a repeated key the last value counts, at the first one's place", () => {
    expect(writeJsonNode(parseJsonNode('{"a":1,"b":2,"a":3}'), "minified")).toBe('{"a":3,"b":2}')
  })

  test.each([
    ["", 0],
    ["{", 1],
    ['{"a" 1}', 5],
    ["[1 2]", 3],
    ["[1,]", 3],
    ["01", 1],
    ["nul", 0],
    ['"a\nb"', 0],
    ['"\\x"', 0],
    ['"open', 0],
    ["1 1", 2],
    ["\ufeff1", 0],
  ])("refuses %j with the offset", (text, offset) => {
    expect(offsetOf(text)).toBe(offset)
    expect(() => JSON.parse(text) as unknown).toThrow()
    expect(tryParseJsonNode(text)).toBeUndefined()
  })

  test("a document may nest so far and no further", () => {
    const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth)
    expect(offsetOf(nested(MAX_JSON_DEPTH))).toBe(-1)
    expect(offsetOf(nested(MAX_JSON_DEPTH + 1))).toBe(MAX_JSON_DEPTH)
    expect(offsetOf("[".repeat(1_000_000))).toBe(MAX_JSON_DEPTH)
  })

  test("agrees with the runtime on damaged documents", () => {
    const random = new Random(3)
    const parts = [
      '{"a":',
      "[",
      "]",
      "}",
      ",",
      '"x\\"y"',
      "1.5e3",
      "-",
      "true",
      "null",
      " ",
      '"\\u12"',
      '"',
      "\\",
      ":",
      '"k":',
    ]
    for (let round = 0; round < 20_000; round++) {
      const text = random.text(parts, 1 + random.below(8))
      let expected: { value: unknown } | undefined
      try {
        expected = { value: JSON.parse(text) as unknown }
      } catch {
        expected = undefined
      }
      const node = tryParseJsonNode(text)
      let read: { value: unknown } | undefined
      try {
        read = { value: parseJson(text) }
      } catch (error) {
        if (!(error instanceof JsonError)) throw error
        // Both readers find the same fault.
        expect({ text, offset: error.offset }).toEqual({ text, offset: offsetOf(text) })
      }
      expect({ text, read }).toEqual({ text, read: expected })
      expect({
        text,
        actual:
          node === undefined
            ? undefined
            : { value: JSON.parse(writeJsonNode(node, "spaced")) as unknown },
      }).toEqual({ text, actual: expected })
    }
  })

  test("equality looks at values", () => {
    const equal = (a: string, b: string): boolean =>
      jsonNodesEqual(parseJsonNode(a), parseJsonNode(b))
    expect(equal('{"a":1.0,"b":[null]}', '{ "b":[null], "a":1 }')).toBe(true)
    for (const [a, b] of [
      ["[1,2]", "[2,1]"],
      ["1", '"1"'],
      ["{}", "[]"],
      ['{"a":1}', '{"b":1}'],
      ["12345678901234567890", "12345678901234567891"],
      ["[1]", "[1,1]"],
    ] as const) {
      expect(equal(a, b)).toBe(false)
    }
  })
})

describe("values that remember their text", () => {
  test("objects and arrays give back what they were read from", () => {
    const body = parseJson('{"tool": {"2": 1.0,  "1": []}, "n": 1}') as { tool: object; n: number }
    expect(body).toEqual({ tool: { "2": 1, "1": [] }, n: 1 })
    expect(jsonSourceOf(body.tool)).toBe('{"2": 1.0,  "1": []}')
    expect(writeJsonNode(jsonNodeOf(body.tool), "minified")).toBe('{"2":1.0,"1":[]}')
  })

  test("other values are written as the runtime does", () => {
    expect(jsonSourceOf({ b: [1, "é"] })).toBe('{"b":[1,"é"]}')
    expect(jsonSourceOf(undefined)).toBe("null")
  })

  test("a key called __proto__ is a key", () => {
    const value = parseJson('{"__proto__": {"x": 1}}') as object
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(Object.keys(value)).toEqual(["__proto__"])
  })

  test("read in slices they are the same, and the loop turns in between", async () => {
    const text = JSON.stringify(
      Array.from({ length: 60_000 }, (_, index) => ({ index, text: `é"${index}`, list: [null] })),
    )
    let turns = 0
    let isRunning = true
    const turn = (): void => {
      turns++
      if (isRunning) setImmediate(turn)
    }
    turn()
    const value = (await parseJsonInSlices(text, NO_LIMITS)) as object[]
    isRunning = false
    expect(value).toEqual(JSON.parse(text) as object[])
    expect(jsonSourceOf(value[7])).toBe('{"index":7,"text":"é\\"7","list":[null]}')
    expect(turns).toBeGreaterThan(3)
  })

  test("a document with more than it may have is refused, and its member named", async () => {
    const fault = (text: string, limits: object) =>
      parseJsonInSlices(text, { ...NO_LIMITS, ...limits }).catch((error: unknown) => error)
    const body = '{"a": [1, {}, []], "b": {"c": [[2]]}}'
    expect(await fault(body, { containers: 7, values: 9 })).toEqual(JSON.parse(body))
    expect(await fault(body, { containers: 6 })).toMatchObject({
      member: "b",
      message: expect.stringContaining("more than 6 objects and arrays"),
    })
    expect(await fault(body, { members: 2 })).toMatchObject({ member: "b" })
    expect(await fault(body, { values: 3 })).toMatchObject({
      member: "a",
      offset: 10,
      message: expect.stringContaining("more than 3 values"),
    })
    expect(await fault("[1,2]", { values: 2 })).toMatchObject({ member: undefined })
  })

  test("a long string with escapes is read", () => {
    const text = JSON.stringify('line\n"quoted" \\ '.repeat(200_000))
    expect(parseJson(text)).toBe(JSON.parse(text) as string)
  })
})
