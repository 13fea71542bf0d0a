import { describe, expect, test } from "bun:test"
import type { OutputEvent } from "./events.ts"
import { OutputParser } from "./output-parser.ts"
import type { OutputParserOptions, OutputResult } from "./parser-options.ts"

const TOOLS = [{ name: "run" }, { name: "b" }]

const parse = (
  text: string,
  options: Partial<OutputParserOptions> = {},
  finish: "stop" | "cut" = "stop",
): OutputResult => {
  const parser = new OutputParser({ thinking: false, tools: TOOLS, ...options })
  parser.push(text)
  parser.end(finish)
  return parser.result
}
const called = (result: OutputResult): unknown[] =>
  result.calls.map(({ name, arguments: text, repaired }) => [name, JSON.parse(text), repaired])

const invoke = (name: string, body: string): string =>
  `<｜DSML｜invoke name="${name}">\n${body}</｜DSML｜invoke>\n`
const parameter = (name: string, value: string): string =>
  `<｜DSML｜parameter name="${name}" string="true">${value}</｜DSML｜parameter>\n`
const block = (invokes: string): string => `<｜DSML｜tool_calls>\n${invokes}</｜DSML｜tool_calls>`
const RUN = block(invoke("run", parameter("p", "1")))

describe("thinking", () => {
  test("a complete block of a declared tool in open thinking ends it", () => {
    const result = parse(`Now.\n\n${RUN}`, { thinking: true })
    expect([result.reasoning, result.content, result.finish]).toEqual(["Now.", "", "tool_calls"])
    expect(called(result)).toEqual([["run", { p: "1" }, false]])
    expect(result.block).toBe(`\n\n${RUN}`)
  })

  test("not with strict tools, for an undeclared tool, when cut or withdrawn", () => {
    const undeclared = block(invoke("other", ""))
    const cases: readonly (readonly [string, boolean, "stop" | "cut"])[] = [
      [RUN, true, "stop"],
      [undeclared, false, "stop"],
      [RUN, false, "cut"],
      [RUN.slice(0, -3), false, "cut"],
      [RUN.slice(0, 70), false, "stop"],
      [`${RUN} No.`, false, "stop"],
      [`${RUN}\n\nOr rather ${"not ".repeat(200)}`, false, "stop"],
    ]
    for (const [text, strictTools, finish] of cases) {
      const result = parse(`Now.\n${text}`, { thinking: true, strictTools }, finish)
      expect([result.reasoning, result.content, result.calls]).toEqual([`Now.\n${text}`, "", []])
    }
  })

  test("text goes on after a quoted block: it is reasoning at once", () => {
    const parser = new OutputParser({ thinking: true, tools: TOOLS })
    const text = (events: readonly OutputEvent[]) =>
      events.map((event) => ("text" in event ? event.text : event.type)).join("")
    expect(text(parser.push(`like ${RUN} `))).toBe("like")
    expect(text(parser.push("and"))).toBe(` ${RUN} and`)
    parser.push("</think>done")
    parser.end("stop")
    expect([parser.result.content, parser.result.calls]).toEqual(["done", []])
  })

  test("blocks in a row are all called", () => {
    const result = parse(`Now.\n\n${RUN}\n\n${RUN}\n</｜DSML｜invoke>`, { thinking: true })
    expect([result.reasoning, result.content, result.finish]).toEqual(["Now.", "", "tool_calls"])
    expect(called(result)).toEqual([
      ["run", { p: "1" }, false],
      ["run", { p: "1" }, false],
    ])
  })

  test("stop strings do not count inside", () => {
    const result = parse("say STOP</think>go STOP now", { thinking: true, stopStrings: ["STOP"] })
    expect([result.reasoning, result.content, result.stopString]).toEqual([
      "say STOP",
      "go ",
      "STOP",
    ])
  })
})

describe("spelling", () => {
  const doubled = RUN.replaceAll("｜DSML｜", "｜｜DSML｜｜")
  const spaced = RUN.replaceAll("｜DSML｜", "｜DSML｜ ")
  const quoted = RUN.replaceAll('name="run"', "name=“run”")
  test.each([
    ["doubled bars", doubled],
    ["a space after the marker", spaced],
    ["typographic quotes", quoted],
  ])("%s are normalised", (_, text) => {
    const result = parse(`Sure.\n\n${text}`)
    expect(called(result)).toEqual([["run", { p: "1" }, true]])
    expect([result.content, result.finish]).toEqual(["Sure.", "tool_calls"])
  })

  test.each([
    ["doubled bars", doubled],
    ["a space after the marker", spaced],
    ["typographic quotes", quoted],
  ])("%s with an undeclared tool are text", (_, text) => {
    const undeclared = `Sure.\n\n${text.replace("run", "other")}`
    const result = parse(undeclared)
    expect([result.content, result.calls, result.finish]).toEqual([undeclared, [], "stop"])
  })

  test("a block of an undeclared tool is text, and so is what follows", () => {
    const text = `So:\n${block(invoke("other", parameter("p", "1")))}\nand on.`
    const { content, calls, finish, warnings } = parse(text)
    expect([content, calls, finish]).toEqual([text, [], "stop"])
    expect(warnings).toEqual([
      'a call was left as text: it names "other", which is not among the declared tools',
    ])
  })

  test("the plain spelling counts only where a line begins", () => {
    const plain =
      '<tool_calls>\n<invoke name="run">\n<parameter name="p">1</parameter>\n</invoke>\n' +
      "</tool_calls>"
    expect(called(parse(`text\n${plain}`))).toEqual([["run", { p: "1" }, false]])
    expect(parse(`text ${plain}`).content).toBe(`text ${plain}`)
  })

  test("nothing is a call when no tool is declared", () => {
    expect(parse(`x\n\n${RUN}`, { tools: [] })).toMatchObject({
      content: `x\n\n${RUN}`,
      calls: [],
      finish: "stop",
    })
  })
})

describe("missing closers", () => {
  test("of a parameter, before the next one and before the end of the call", () => {
    const text = block(
      `<｜DSML｜invoke name="run">\n<｜DSML｜parameter name="p" string="true">one\ntwo\n` +
        `<｜DSML｜parameter name="q" string="false">[1]\n</｜DSML｜invoke>\n`,
    )
    expect(called(parse(text))).toEqual([["run", { p: "one\ntwo", q: [1] }, true]])
  })

  test("of a call, before the next one and before the end of the block", () => {
    const text = block(
      `<｜DSML｜invoke name="run">\n${parameter("p", "1")}<｜DSML｜invoke name="b">\n`,
    )
    expect(called(parse(text))).toEqual([
      ["run", { p: "1" }, true],
      ["b", {}, true],
    ])
  })

  test("of the block, at the end of the answer", () => {
    for (const end of [RUN.lastIndexOf("</"), -1, -8]) {
      const result = parse(RUN.slice(0, end))
      expect([called(result), result.content, result.finish]).toEqual([
        [["run", { p: "1" }, false]],
        "",
        "tool_calls",
      ])
    }
  })
})

describe("values", () => {
  const json = (value: string): unknown[] =>
    called(
      parse(
        block(
          invoke(
            "run",
            `<｜DSML｜parameter name="p" string="false">${value}</｜DSML｜parameter>\n`,
          ),
        ),
      ),
    )

  test("JSON that does not parse is a string, and marked", () => {
    expect(json('{"a": [1')).toEqual([["run", { p: '{"a": [1' }, true]])
    expect(json("plain words")).toEqual([["run", { p: "plain words" }, true]])
    expect(json(' {"a": [1]} ')).toEqual([["run", { p: { a: [1] } }, false]])
  })

  test("keys that look like integers and numbers keep order and spelling", () => {
    const result = parse(
      block(
        invoke(
          "run",
          `<｜DSML｜parameter name="p" string="false">{"2": 1.0, "1": ` +
            `12345678901234567890}</｜DSML｜parameter>\n`,
        ),
      ),
    )
    expect(result.calls[0]?.arguments).toBe('{"p": {"2":1.0,"1":12345678901234567890}}')
  })
})

describe("cut by a limit", () => {
  const two = block(invoke("run", parameter("p", "1")) + invoke("b", parameter("q", "22")))
  test("complete calls are delivered, the incomplete one is not", () => {
    const result = parse(`Sure.\n\n${two.slice(0, two.indexOf("22") + 1)}`, {}, "cut")
    expect([result.content, called(result), result.finish]).toEqual([
      "Sure.",
      [["run", { p: "1" }, false]],
      "length",
    ])
  })

  test("without a complete call the text before it is the content", () => {
    for (let end = 3; end < two.indexOf("</｜DSML｜invoke>"); end++)
      expect(parse(`Sure.\n\n${two.slice(0, end)}`, {}, "cut")).toMatchObject({
        content: "Sure.",
        calls: [],
        finish: "length",
      })
  })

  test("in the middle of thinking it is reasoning", () => {
    expect(parse("so far <", { thinking: true }, "cut")).toMatchObject({
      reasoning: "so far <",
      content: "",
      finish: "length",
    })
  })
})

describe("delivery", () => {
  const long = block(invoke("run", parameter("text", "0123456789".repeat(300))))
  test("arguments stream as they are made", () => {
    const parser = new OutputParser({ thinking: false, tools: TOOLS })
    const body = '<b>&amp; "q"'
    const text = block(invoke("run", parameter("p", body)))
    const begin = text.indexOf(body)
    const before = parser.push(text.slice(0, begin))
    expect(before.map(({ type }) => type).slice(0, 2)).toEqual([
      "tool-call-start",
      "tool-call-arguments",
    ])
    const pieces = Array.from(body, (character) => parser.push(character))
    // Only what may begin a tag or its escape waits for the next character.
    expect(pieces.map((events) => events.length)).toEqual(
      Array.from(body, (character) => ("<&".includes(character) ? 0 : 1)),
    )
    parser.push(text.slice(begin + body.length))
    expect(called(parser.result)).toEqual([["run", { p: body }, false]])
  })

  test("a call is held until it is complete when that is asked for", () => {
    const parser = new OutputParser({ thinking: false, tools: TOOLS, holdArgumentUnits: Infinity })
    const types: string[] = []
    for (const character of RUN.slice(0, RUN.indexOf("</｜DSML｜invoke>")))
      types.push(...parser.push(character).map(({ type }) => type))
    expect(types).toEqual([])
    expect(parser.push("</｜DSML｜invoke>").map(({ type }) => type)).toContain("tool-call-end")
  })

  test("a long one streams before its end", () => {
    const parser = new OutputParser({ thinking: false, tools: TOOLS })
    const before = parser.push(long.slice(0, 2000))
    expect(before[0]).toMatchObject({ type: "tool-call-start", name: "run" })
    const after = [...parser.push(long.slice(2000)), ...parser.end("stop")]
    const text = [...before, ...after]
      .map((event) => (event.type === "tool-call-arguments" ? event.text : ""))
      .join("")
    expect(JSON.parse(text)).toEqual({ text: "0123456789".repeat(300) })
  })

  test("nothing counts after a complete block", () => {
    const parser = new OutputParser({ thinking: false, tools: TOOLS })
    parser.push(`${RUN} more`)
    expect(parser.isDone).toBe(true)
    expect(parser.push("and more")).toEqual([])
  })

  test("endless white space and a long value stay linear", () => {
    const parser = new OutputParser({ thinking: false, tools: TOOLS })
    const begin = performance.now()
    for (let i = 0; i < 100_000; i++) parser.push("\n")
    parser.push(
      '<｜DSML｜tool_calls><｜DSML｜invoke name="run"><｜DSML｜parameter name="p" string="true">',
    )
    for (let i = 0; i < 100_000; i++) parser.push("a b\n")
    expect(performance.now() - begin).toBeLessThan(5000)
  }, 120_000)
})

describe("stop strings", () => {
  test("the earliest start wins, however the text arrives", () => {
    for (const pieces of [["abcd"], ["a", "b", "c", "d"], ["abc", "d"]]) {
      const parser = new OutputParser({ thinking: false, stopStrings: ["c", "bcd"] })
      for (const piece of pieces) parser.push(piece)
      parser.end("stop")
      expect(parser.result).toMatchObject({ content: "a", stopString: "bcd", finish: "stop" })
    }
  })

  test("one that never completes is content", () => {
    const parser = new OutputParser({ thinking: false, stopStrings: ["abcX"] })
    expect(parser.push("xxab").map((event) => ("text" in event ? event.text : ""))).toEqual(["xx"])
    parser.end("stop")
    expect(parser.result.content).toBe("xxab")
  })
})
