import { describe, expect, test } from "bun:test"
import { OutputParser } from "./output-parser.ts"
import type { OutputParserOptions, OutputResult } from "./parser-options.ts"
import { fixture } from "../testing/fixtures.ts"

interface RecordedCase {
  id: string
  require_thinking_closed: boolean
  text: string
  expected: {
    ok: boolean
    content: string | null
    reasoning: string | null
    calls: { name: string; arguments: string; arguments_object: unknown }[]
    raw_dsml: string | null
  }
}
const recorded = await fixture<{ cases: RecordedCase[] }>("parse.json")

const TOOLS = [{ name: "run_cmd" }, { name: "a" }, { name: "b" }]

const parse = (
  text: string,
  options: OutputParserOptions,
  finish: "stop" | "cut" = "stop",
): OutputResult => {
  const parser = new OutputParser(options)
  parser.push(text)
  parser.end(finish)
  return parser.result
}

const note = (problem: string): string =>
  `[A tool call in this answer could not be read: ${problem}.]`

/**
 * Answers to recorded cases in which the specification departs from the recorded server.
 */
const DIFFERENT: Readonly<
  Record<string, { content: string; reasoning: string; arguments: string[] }>
> = {
  "think-unclosed": { content: "", reasoning: "Consider forever", arguments: [] },
  "call-before-think-close": {
    content: "",
    reasoning: "I will call.",
    arguments: ['{"cwd": "."}'],
  },
  "bad-json": { content: "", reasoning: "", arguments: ['{"argv": "[1, 2"}'] },
  // No entity is decoded: the recorded server corrupted HTML, XML and code that calls carried.
  "nested-params": {
    content: "",
    reasoning: "",
    arguments: ['{"path": "a/f", "edits": {"old":"a &lt;b&gt;","new":"c"}}'],
  },
  "entities-string": {
    content: "",
    reasoning: "",
    arguments: ['{"cwd": "&lt;a&gt; &amp; &quot;b&quot; &apos;c&apos; &copy;"}'],
  },
  // The markup of a call that cannot be read is not shown; a sentence stands for it.
  "missing-name": { content: `try\n\n${note("it names no tool")}`, reasoning: "", arguments: [] },
  "foreign-tag": {
    content: `<task>x</task>\n\n${note("nothing was called")}`,
    reasoning: "",
    arguments: [],
  },
  // At the model's own end the missing closing tags are supplied.
  unterminated: { content: "try", reasoning: "", arguments: ['{"p": "1"}'] },
  "dup-param": { content: "", reasoning: "", arguments: ['{"a": "2"}'] },
}

describe("recorded parses", () => {
  for (const { id, text, require_thinking_closed: thinking, expected } of recorded.cases) {
    test(id, () => {
      const result = parse(text, { thinking, tools: TOOLS })
      const different = DIFFERENT[id]
      if (different !== undefined) {
        expect(result.content).toBe(different.content)
        expect(result.reasoning).toBe(different.reasoning)
        expect(result.calls.map((call) => call.arguments)).toEqual(different.arguments)
      } else {
        expect(result.content).toBe(expected.content ?? "")
        expect(result.reasoning).toBe(expected.reasoning ?? "")
        expect(
          result.calls.map(({ name, arguments: text }) => ({ name, arguments: text })),
        ).toEqual(expected.calls.map(({ name, arguments: text }) => ({ name, arguments: text })))
        expect(result.block).toBe(expected.raw_dsml ?? undefined)
        expect(result.finish).toBe(expected.calls.length > 0 ? "tool_calls" : "stop")
      }
      for (const call of result.calls)
        expect(() => JSON.parse(call.arguments) as unknown).not.toThrow()
    })
  }
})
