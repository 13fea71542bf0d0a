import { Chat } from "@ds4/chat"
import { describe, expect, test } from "bun:test"
import { fakeEngine } from "@ds4/engine/testing"
import { OPTIONS } from "@ds4/options"
import { loadTokenizer } from "@ds4/tokenizer"
import { resolve } from "node:path"
import { messageOf } from "../errors.ts"
import { isRight } from "./check-answer.ts"
import { runItem, summarise } from "./run-suite.ts"
import { readSuite, SUITES, type SuiteItem } from "./suite.ts"

function sourceOf(name: string) {
  const source = SUITES[name]
  if (source === undefined) throw new Error(`no suite ${name}`)
  return source
}

const answer = (content: string, ...calls: { name: string; arguments: string }[]) => ({
  content,
  calls,
})

describe("what counts as right", () => {
  test("the last number, with its sign and without thousands separators", () => {
    expect(isRight(answer("12 - 45 = -33"), { number: -33 })).toBe(true)
    expect(isRight(answer("= 1,354"), { number: 1354 })).toBe(true)
    expect(isRight(answer("-33, no: 33"), { number: -33 })).toBe(false)
    expect(isRight(answer("I do not know"), { number: 0 })).toBe(false)
  })

  test("calls by name and by value, in order, none besides", () => {
    const wanted = { calls: [{ name: "f", arguments: { a: 1, b: "x" } }] }
    expect(isRight(answer("", { name: "f", arguments: '{"b": "x", "a": 1.0}' }), wanted)).toBe(true)
    expect(isRight(answer("", { name: "f", arguments: '{"b": "x", "a": "1"}' }), wanted)).toBe(
      false,
    )
    expect(isRight(answer("", { name: "g", arguments: '{"b": "x", "a": 1}' }), wanted)).toBe(false)
    expect(isRight(answer("", { name: "f", arguments: '{"a": 1' }), wanted)).toBe(false)
    expect(isRight(answer("f(1, x)"), wanted)).toBe(false)
  })

  test("no call means text and no call; a call never counts as text", () => {
    const call = { name: "f", arguments: "{}" }
    expect(isRight(answer("None of my tools fits."), { no_calls: true })).toBe(true)
    expect(isRight(answer(""), { no_calls: true })).toBe(false)
    expect(isRight(answer("Yes.", call), { no_calls: true })).toBe(false)
    expect(isRight(answer("port 8000", call), { contains: ["8000"] })).toBe(false)
  })

  test("every part must stand in the text; an exact text must be all of it", () => {
    expect(isRight(answer("Use `DS4 serve`."), { contains: ["ds4 serve"] })).toBe(true)
    expect(isRight(answer("Use ds4 serve."), { contains: ["ds4 serve", "8000"] })).toBe(false)
    expect(isRight(answer(" Prego!\n"), { equals: "Prego!" })).toBe(true)
    expect(isRight(answer("Prego! Ciao!"), { equals: "Prego!" })).toBe(false)
  })
})

test("every item of the demo suite asks something and expects exactly one thing", async () => {
  const items = (await readSuite(sourceOf("demo"))).items
  expect(new Set(items.map(({ id }) => id)).size).toBe(items.length)
  expect(items.length).toBeGreaterThan(200)
  for (const { messages, expect: wanted } of items) {
    expect(["user", "tool"]).toContain(messages.at(-1)?.role ?? "")
    expect(Object.keys(wanted)).toHaveLength(1)
  }
})

test(
  "a goal belongs to a kind that the suite has, and --suite takes the suites that " + "there are",
  async () => {
    for (const name of Object.keys(SUITES)) {
      const { items, goals } = await readSuite(sourceOf(name))
      for (const kind of Object.keys(goals))
        expect(items.some((item) => item.kind === kind)).toBe(true)
    }
    expect<readonly string[]>(OPTIONS.suite.choices).toEqual(Object.keys(SUITES))
  },
)

test("a suite whose file is missing says which and how to restore it", async () => {
  const reading = readSuite({ ...sourceOf("demo"), file: "gone.json" })
  expect(await reading.catch(messageOf)).toMatch(
    /expected .*models\/demo\/gone\.json; restore it: git/,
  )
})

test("an item goes through the chat template, and its answer is read back as calls", async () => {
  const tokenizer = await loadTokenizer({
    kind: "tokenizer.json",
    path: resolve(import.meta.dir, "../../../../models/demo/tokenizer.json"),
  })
  const bar = "\uff5c"
  const block =
    `\n\n<${bar}DSML${bar}tool_calls>\n<${bar}DSML${bar}invoke name="get_time">\n<` +
    `${bar}DSML` +
    `${bar}parameter name="city" string="true">Rome</${bar}DSML${bar}parameter>\n</${bar}DSML` +
    `${bar}invoke>\n</${bar}DSML${bar}tool_calls>`
  const prompts: string[] = []
  const engine = fakeEngine({
    tokenizer,
    script: ({ promptTokens }) => {
      prompts.push(tokenizer.decode(promptTokens))
      return `I call it.</think>${block}`
    },
  })
  const chat = new Chat({ engine, tokenizer })
  const item: SuiteItem = {
    id: "x-1",
    kind: "x",
    thinking: true,
    messages: [{ role: "user", content: "What time is it in Rome?" }],
    tools: [{ name: "get_time", parameters: {} }],
    expect: { calls: [{ name: "get_time", arguments: { city: "Rome" } }] },
  }
  const result = await runItem(item, chat)
  expect(prompts[0]).toEndWith(
    `<${bar}User${bar}>What time is it in Rome?<${bar}Assistant${bar}><think>`,
  )
  expect(result).toMatchObject({ isRight: true, isEnded: true, reasoning: "I call it." })
  const summary = summarise([result, { ...result, isRight: false, isEnded: false }], {
    goals: { x: 60 },
    endedGoal: 99,
  })
  expect(summary.kinds).toEqual([{ kind: "x", right: 1, total: 2, percent: 50, goalPercent: 60 }])
  expect(summary.ended).toEqual({ right: 1, total: 2, percent: 50, goalPercent: 99 })
  await chat.close()
})
