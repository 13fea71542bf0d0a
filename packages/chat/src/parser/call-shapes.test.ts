// Every spelling of fixtures/tool-call-shapes.json, in content and in open reasoning, cut at many
// places. A call that can be understood is delivered, and markup is never shown.
import { describe, expect, test } from "bun:test"
import { Random } from "@ds4/model-file/testing"
import { fixture } from "../testing/fixtures.ts"
import type { OutputEvent } from "./events.ts"
import { OutputParser } from "./output-parser.ts"
import type { EngineFinish, OutputResult } from "./parser-options.ts"

interface Shapes {
  tools: string[]
  call: string
  arguments: unknown
  replacements: { from: string; to: string[] }[]
  texts: { id: string; text: string }[]
}
const shapes = await fixture<Shapes>("tool-call-shapes.json")
const TOOLS = shapes.tools.map((name) => ({ name }))
const MARKUP = /DSML|invoke|tool_calls|function_calls|<[/ ]*[｜|]/i

interface Way {
  readonly thinking?: boolean
  readonly finish?: EngineFinish
}
interface Answer extends OutputResult {
  readonly streamed: { reasoning: string; content: string; calls: string[] }
}

const read = (pieces: readonly string[], { thinking = false, finish = "stop" }: Way): Answer => {
  const parser = new OutputParser({ thinking, tools: TOOLS, newCallId: () => "id" })
  const events: OutputEvent[] = []
  for (const piece of pieces) events.push(...parser.push(piece))
  events.push(...parser.end(finish))
  const streamed = { reasoning: "", content: "", calls: [] as string[] }
  for (const event of events) {
    if (event.type === "reasoning") streamed.reasoning += event.text
    else if (event.type === "text") streamed.content += event.text
    else if (event.type === "tool-call-start") streamed.calls[event.index] = `${event.name} `
    else if (event.type === "tool-call-arguments") streamed.calls[event.index] += event.text
  }
  return { ...parser.result, streamed }
}

const calledIn = ({ calls }: OutputResult): unknown[] =>
  calls.map(({ name, arguments: text }) => [name, JSON.parse(text) as unknown])

/** Reads a text whole, by characters, in random pieces and cut once; all ways must agree. */
const readEveryWay = (text: string, way: Way, cuts = 4): Answer => {
  const random = new Random(text.length)
  const whole = read([text], way)
  const wanted = { ...whole, streamed: readable(whole.streamed) }
  const once = Array.from({ length: cuts }, () => {
    const at = random.below(text.length + 1)
    return [text.slice(0, at), text.slice(at)]
  })
  for (const pieces of [Array.from(text), random.pieces(text, 9), ...once]) {
    const other = read(pieces, way)
    expectSame(pieces, { ...other, streamed: readable(other.streamed) }, wanted)
  }
  const { reasoning, content } = whole
  const calls = calledIn(whole)
  if (way.finish !== "cut") expectSame([text], wanted.streamed, { reasoning, content, calls })
  return whole
}

/** Compares without the cost of a deep comparison, of which there are tens of thousands. */
const expectSame = (pieces: readonly string[], value: unknown, wanted: unknown): void => {
  if (JSON.stringify(value) !== JSON.stringify(wanted))
    expect({ pieces, value }).toEqual({ pieces, value: wanted })
}

/** Complete argument texts by their values, others as they are. */
const readable = ({ reasoning, content, calls }: Answer["streamed"]) => ({
  reasoning,
  content,
  calls: calls.map((call) => {
    const [name = ""] = call.split(" ", 1)
    return [name, valueOf(call.slice(name.length + 1))]
  }),
})

const valueOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Each place of `from` replaced alone, and all of them together. */
function* replaced(from: string, to: string): Generator<string> {
  for (let at = shapes.call.indexOf(from); at >= 0; at = shapes.call.indexOf(from, at + 1))
    yield shapes.call.slice(0, at) + to + shapes.call.slice(at + from.length)
  yield shapes.call.replaceAll(from, to)
}

const shows = ({ content, reasoning }: OutputResult): boolean =>
  MARKUP.test(content) || MARKUP.test(reasoning)

describe("a call in another spelling", () => {
  for (const { from, to } of shapes.replacements)
    test(JSON.stringify(from), () => {
      for (const text of to.flatMap((spelling) => [...replaced(from, spelling)]))
        for (const thinking of [false, true])
          for (const before of ["", "Sure.\n\n"]) {
            // Prose inside of a considered call withdraws it.
            if (thinking && text.includes("I call it now")) continue
            const answer = readEveryWay(before + text, { thinking })
            expect({ text, thinking, calls: calledIn(answer), finish: answer.finish }).toEqual({
              text,
              thinking,
              calls: [["get_weather", shapes.arguments]],
              finish: "tool_calls",
            })
            expect({ text, shows: shows(answer) }).toEqual({ text, shows: false })
          }
    }, 120_000)
})

describe("a text that is no call", () => {
  for (const { id, text } of shapes.texts)
    test(id, () => {
      for (const finish of ["stop", "cut"] as const) {
        const answer = readEveryWay(text, { finish }, 60)
        expect([answer.content, answer.calls]).toEqual([text, []])
        expect(answer.finish).toBe(finish === "cut" ? "length" : "stop")
        const thought = readEveryWay(text, { finish, thinking: true }, 60)
        expect([thought.reasoning, thought.content, thought.calls]).toEqual([text, "", []])
      }
    })

  test("does not stand in the way of a call", () => {
    const open = ["in a fence that is not closed", "the beginning of a call of an undeclared tool"]
    for (const { text } of shapes.texts.filter(({ id }) => !open.includes(id))) {
      const answer = readEveryWay(`${text}\n\n${shapes.call}`, {})
      expect(calledIn(answer)).toEqual([["get_weather", shapes.arguments]])
      expect(answer.content).toBe(text.trimEnd())
    }
  })
})

describe("a call that was cut", () => {
  const spellings = [
    shapes.call,
    shapes.call.replaceAll("｜DSML｜", "|DSML|"),
    shapes.call.split("\n").slice(1, -1).join("\n"),
  ]
  test("by a limit shows no markup, and reasoning is whole", () => {
    for (const spelling of spellings)
      for (let end = 0; end < spelling.length; end++) {
        const text = `Sure.\n\n${spelling.slice(0, end)}`
        const { content, finish } = readEveryWay(text, { finish: "cut" }, 1)
        expect({ text, content: content.replace(/\s*<\/?$/, "").trimEnd(), finish }).toEqual({
          text,
          content: "Sure.",
          finish: "length",
        })
        const thought = readEveryWay(text, { finish: "cut", thinking: true }, 1)
        expect([thought.reasoning, thought.calls]).toEqual([text, []])
      }
  }, 120_000)

  test("by the model itself shows no markup, and is called or told", () => {
    for (const spelling of spellings)
      for (let end = 4; end < spelling.length; end++) {
        const text = `Sure.\n\n${spelling.slice(0, end)}`
        const answer = readEveryWay(text, {}, 1)
        const isTold = answer.content.startsWith("Sure.\n\n[A tool call in this answer could not")
        expect({ text, shows: shows(answer) }).toEqual({ text, shows: false })
        expect({ text, isTold }).toEqual({ text, isTold: answer.calls.length === 0 })
        expect(answer.finish).toBe(answer.calls.length > 0 ? "tool_calls" : "stop")
        expect(answer.warnings.length).toBe(isTold ? 1 : 0)
      }
  }, 120_000)
})

describe("a bad call beside good ones", () => {
  const parameter = (key: string) =>
    `<｜DSML｜parameter name="${key}" string="true">1</｜DSML｜parameter>\n`
  const invoke = (name: string, body: string) =>
    `<｜DSML｜invoke${name}>\n${body}</｜DSML｜invoke>\n`
  const A = invoke(' name="get_weather"', parameter("a"))
  const B = invoke(' name="g"', parameter("b"))
  const BAD: readonly (readonly [string, string])[] = [
    ["without a name", invoke("", "")],
    ["with an empty name", invoke(' name=""', parameter("x"))],
    ["of an undeclared tool", invoke(' name="other"', parameter("x"))],
    ["a parameter alone", parameter("x")],
    ["an unknown tag", "<｜DSML｜foo>\n"],
    ["closing tags", "</｜DSML｜invoke>\n</｜DSML｜parameter>\n"],
    ["another opening tag", "<｜DSML｜tool_calls>\n"],
    ["never closed", "<｜DSML｜invoke>\n"],
    ["prose", "Then I do this:\n"],
    ["other markup", "<task>x</task>\n"],
  ]
  const WRAPS: readonly ((inner: string) => string)[] = [
    (inner) => `<｜DSML｜tool_calls>\n${inner}</｜DSML｜tool_calls>`,
    (inner) => `<｜DSML｜tool_calls>\n${inner}`,
    (inner) => `${inner}</｜DSML｜tool_calls>`,
    (inner) => inner,
  ]
  test.each(BAD)("%s", (name, bad) => {
    const isText = name === "prose" || name === "other markup"
    for (const wrap of WRAPS)
      for (const [inner, names] of [
        [A + bad + B, ["get_weather", "g"]],
        [bad + A, ["get_weather"]],
        [A + bad, ["get_weather"]],
        [bad + A + bad + B + bad, ["get_weather", "g"]],
      ] as const)
        for (const thinking of isText ? [false] : [false, true]) {
          const answer = readEveryWay(`Sure.\n\n${wrap(inner)}`, { thinking })
          expect(answer.calls.map((call) => call.name)).toEqual([...names])
          expect({ inner, shows: shows(answer) }).toEqual({ inner, shows: false })
          expect(answer.finish).toBe("tool_calls")
          if (isText) expect(answer.content).toContain(bad.trim())
        }
  })
})

describe("arguments in another place", () => {
  const g = (body: string) =>
    `<｜DSML｜tool_calls>\n<｜DSML｜invoke name="g">\n${body}\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>`
  const open = (key: string, mark: string) => `<｜DSML｜parameter name="${key}" string="${mark}">`
  const close = "</｜DSML｜parameter>"
  test.each([
    ["a JSON object for parameters", '{"a": {"b": 1}}', { a: { b: 1 } }],
    ["one parameter that holds all", `${open("arguments", "false")}{"a": "x"}${close}`, { a: "x" }],
    ["the same as a string", `${open("parameters", "true")}{"a": 1}${close}`, { a: 1 }],
    [
      "beside another it is an argument",
      `${open("arguments", "false")}{"a": 1}${close}\n${open("b", "true")}c${close}`,
      { arguments: { a: 1 }, b: "c" },
    ],
    [
      "parameters in one that is marked as JSON",
      `${open("o", "false")}\n${open("a", "true")}x${close}\n${close}`,
      { o: { a: "x" } },
    ],
    ["a self-closing parameter", '<｜DSML｜parameter name="a" string="true"/>', { a: "" }],
    ["Python's constants", `${open("t", "false")}True${close}`, { t: true }],
  ])("%s", (_, body, wanted) => {
    expect(calledIn(readEveryWay(g(body), {}, 60))).toEqual([["g", wanted]])
  })

  test("the schema decides which names are arguments", () => {
    const schema = (...names: string[]) => ({
      name: "g",
      parameters: { type: "object", properties: Object.fromEntries(names.map((n) => [n, {}])) },
    })
    const args = (tool: { name: string }, body: string) => {
      const parser = new OutputParser({ thinking: false, tools: [tool] })
      parser.push(g(body))
      return parser.result.calls.map((call) => JSON.parse(call.arguments) as unknown)
    }
    const wrapped = `${open("arguments", "false")}{"a": 1}${close}`
    expect(args(schema("arguments"), wrapped)).toEqual([{ arguments: { a: 1 } }])
    expect(args(schema("a"), wrapped)).toEqual([{ a: 1 }])
    expect(args(schema("filePath"), `${open(" file_path", "true")}x${close}`)).toEqual([
      { filePath: "x" },
    ])
    const definition = JSON.stringify({ name: "g", parameters: schema("arguments").parameters })
    expect(args({ name: "g", definition } as { name: string }, wrapped)).toEqual([
      { arguments: { a: 1 } },
    ])
  })
})
