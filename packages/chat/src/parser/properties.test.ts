import { describe, expect, test } from "bun:test"
import type { OutputEvent } from "./events.ts"
import { OutputParser } from "./output-parser.ts"
import type { EngineFinish, OutputParserOptions } from "./parser-options.ts"
import { fixture } from "../testing/fixtures.ts"
import { Random } from "@ds4/model-file/testing"
import zones from "@ds4/engine/fixtures/sampling-zones.json"

const parses = await fixture<{ cases: { text: string }[] }>("parse.json")
const streams = await fixture<{ cases: { generated: string }[] }>("streams.json")

const OWN = [
  '<｜｜DSML｜｜tool_calls>\n<｜｜DSML｜｜invoke name=“a”>\n<｜｜DSML｜｜parameter name="p" string="true">1 ' +
    "< 2 🙂</｜｜DSML｜｜parameter>\n</｜｜DSML｜｜invoke>\n</｜｜DSML｜｜tool_calls>",
  '<｜DSML｜ tool_calls>\n<｜DSML｜invoke name="unknown">\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>',
  'x\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name="a">\n<｜DSML｜parameter name="p" string="true">one\n' +
    '<｜DSML｜parameter name="q" string="false">[1]</｜DSML｜parameter>\n<｜DSML｜invoke name="b">\n' +
    "</｜DSML｜tool_calls>",
  '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="a">\n</｜DSML｜invoke>\n<task>x</task>\n' +
    "</｜DSML｜tool_calls> END after",
  'mixed <tool_calls>\n<invoke name="a">\n</invoke>\n</tool_calls> inline, \n<tool_calls>\n' +
    '<invoke name="a"></invoke></tool_calls>',
  "think <｜DSML｜tool_calls> is the tag</think>\n\nAnswer \n\n END",
  "a</think>b</think>c &amp; <think>d",
  `long\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name="a">\n<｜DSML｜parameter name="p" string="true">` +
    `${'line &lt;tag&gt; "quoted" \\ 🙂\n'.repeat(60)}</｜DSML｜parameter>\n<｜DSML｜parameter ` +
    `name="n" string="false">{"k": [1, 2]}</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>`,
]
const TEXTS = [
  ...parses.cases.map(({ text }) => text),
  ...streams.cases.map(({ generated }) => generated),
  ...zones.cases.map(({ text }) => text),
  ...OWN,
]

interface Collected {
  reasoning: string
  content: string
  calls: { name: string; arguments: unknown }[]
  /** A call was begun and never ended: with early delivery, what the model was cut off in. */
  hasOpenCall: boolean
}

/** Collects a stream as a client does, and checks that it is a legal one. */
const collect = (events: readonly OutputEvent[]): Collected => {
  const collected: Collected = {
    reasoning: "",
    content: "",
    calls: [],
    hasOpenCall: false,
  }
  let open: { name: string; text: string; index: number } | undefined
  let calls = 0
  for (const event of events) {
    if ("text" in event) {
      expect(event.text).not.toBe("")
      expect(event.text.isWellFormed()).toBe(true)
    }
    if (event.type === "reasoning") collected.reasoning += event.text
    else if (event.type === "text") collected.content += event.text
    else if (event.type === "tool-call-start") {
      expect(event.index).toBe(calls++)
      open = { name: event.name, text: "", index: event.index }
    } else if (event.type === "tool-call-arguments") {
      expect(event.index).toBe(open?.index ?? -1)
      // A cut inside an escape would leave an odd backslash, or a \u without its digits, at the
      // end.
      expect(event.text).not.toMatch(/(?:^|[^\\])(?:\\\\)*\\(?:u[0-9a-f]{0,3})?$/)
      if (open !== undefined) open.text += event.text
    } else {
      expect(event.index).toBe(open?.index ?? -1)
      // A repeated key stands once in the whole call and twice in its pieces.
      expect(JSON.parse(event.call.arguments)).toEqual(JSON.parse(open?.text ?? ""))
      if (open !== undefined)
        collected.calls.push({ name: open.name, arguments: JSON.parse(open.text) as unknown })
      open = undefined
    }
  }
  collected.hasOpenCall = open !== undefined || calls > collected.calls.length
  return collected
}

interface Run {
  options: OutputParserOptions
  finish: EngineFinish
}

const run = (pieces: readonly string[], { options, finish }: Run) => {
  const parser = new OutputParser({ ...options, newCallId: () => "id" })
  const events = pieces.flatMap((piece) => parser.push(piece))
  events.push(...parser.end(finish))
  return { result: parser.result, collected: collect(events) }
}

const randomRun = (random: Random): Run => ({
  options: {
    thinking: random.below(2) === 0,
    tools: random.below(4) === 0 ? [] : [{ name: "run_cmd" }, { name: "a" }, { name: "b" }],
    stopStrings: random.pick([[], [], ["END"], ["\n\n", "nsw"], ["er", "ever", "<｜DSML｜tool_x"]]),
    strictTools: random.below(4) === 0,
    holdArgumentUnits: random.pick([0, 5, 1024, Infinity]),
  },
  finish: random.pick(["stop", "stop", "cut"] as const),
})

/**
 * Every way of cutting a text must give what the whole gives. Call delivery may start early, calls
 * must agree.
 */
const checkFeeds = (text: string, random: Random, rounds: number): void => {
  for (let round = 0; round < rounds; round++) {
    const settings = randomRun(random)
    const whole = run([text], settings)
    const pieces = random.pieces(text, random.pick([1, 3, 9, 40]))
    const stream = run(pieces, settings)
    const label = { text, settings, pieces }
    expect({ ...label, result: stream.result }).toEqual({ ...label, result: whole.result })
    for (const { result, collected } of [whole, stream]) {
      expect({ ...label, reasoning: collected.reasoning, content: collected.content }).toEqual({
        ...label,
        reasoning: result.reasoning,
        content: result.content,
      })
      const calls = result.calls.map((call) => ({
        name: call.name,
        arguments: JSON.parse(call.arguments) as unknown,
      }))
      expect({ ...label, calls: collected.calls }).toEqual({ ...label, calls })
    }
    if (!whole.collected.hasOpenCall) checkNothingLost(text, settings, whole.result)
    else expect(settings.options.holdArgumentUnits).toBeLessThan(100_000)
  }
}

/** Without a call, and without a sentence in the place of one, the text is the model's. */
const checkNothingLost = (
  text: string,
  { options, finish }: Run,
  result: ReturnType<typeof run>["result"],
): void => {
  const isWhole = result.warnings.every((warning) => warning.startsWith("a call was left as text"))
  if (result.calls.length > 0 || !isWhole) return
  const started =
    options.thinking && text.startsWith("<think>") ? text.slice("<think>".length) : text
  const answer = options.thinking ? started.slice(result.reasoning.length) : started
  expect(options.thinking ? started.startsWith(result.reasoning) : result.reasoning === "").toBe(
    true,
  )
  const content =
    answer.startsWith("</think>") && options.thinking ? answer.slice("</think>".length) : answer
  if (result.stopString !== undefined)
    expect(content.startsWith(result.content + result.stopString)).toBe(true)
  else if (finish === "stop") expect(result.content).toBe(content)
  // A cut drops the markup of the call that it fell into, and nothing else is changed.
  else expect(isPicked(result.content, content)).toBe(true)
}

/** Whether all of `part` stands in `text`, in order. */
const isPicked = (part: string, text: string): boolean => {
  let at = 0
  for (const character of text) if (part.startsWith(character, at)) at += character.length
  return at === part.length
}

describe("a stream and a whole answer agree, and nothing is lost", () => {
  test("on every recorded text", () => {
    const random = new Random(77)
    for (const text of TEXTS) checkFeeds(text, random, 40)
  }, 120_000)

  test("on every beginning of every recorded text", () => {
    const random = new Random(78)
    for (const text of TEXTS)
      for (let end = 0; end < Math.min(text.length, 700); end += 1 + random.below(4))
        checkFeeds(text.slice(0, end).toWellFormed(), random, 1)
  }, 120_000)

  test("on spliced and damaged texts", () => {
    const random = new Random(79)
    for (let round = 0; round < 3000; round++) {
      const [a, b] = [random.pick(TEXTS), random.pick(TEXTS)]
      const damaged =
        a.slice(0, random.below(a.length)) +
        random.pick(["", "<", "</think>", "\n", "<｜DSML｜", " ", "END"]) +
        b.slice(random.below(b.length))
      checkFeeds(damaged.slice(0, 1500).toWellFormed(), random, 1)
    }
  }, 120_000)
})
