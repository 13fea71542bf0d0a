import { describe, expect, test } from "bun:test"
import type { Message, ToolCall } from "../template/conversation.ts"
import { RepeatedCalls } from "./repeated-calls.ts"

const HI: Message = { role: "user", content: "look at it" }
let count = 0
const call = (name: string, value: unknown): ToolCall => ({
  id: `call_${count++}`,
  name,
  arguments: JSON.stringify(value),
})

/** A turn with one call and its result. */
const turn = (name: string, value: unknown, result: string): Message[] => {
  const made = call(name, value)
  return [
    { role: "assistant", content: "", toolCalls: [made] },
    { role: "tool", content: result, toolCallId: made.id },
  ]
}
const read = (result = "the text", path = "a.ts"): Message[] => turn("read", { path }, result)

/** Whether each of the calls is one too many, in one answer to the messages. */
const vain = (messages: Message[], ...calls: ToolCall[]): boolean[] => {
  const guard = new RepeatedCalls([HI, ...messages])
  return calls.map((each) => guard.isVain(each))
}
const READ = call("read", { path: "a.ts" })

describe("a call in vain", () => {
  test("is the third with the same arguments and result", () => {
    expect(vain(read(), READ)).toEqual([false])
    expect(vain([...read(), ...read()], READ)).toEqual([true])
    expect(vain([...read(), ...read()], call("read", { path: "b.ts" }))).toEqual([false])
    expect(vain([...read(), ...read()], call("open", { path: "a.ts" }))).toEqual([false])
  })

  test("is the third however its arguments are spelled", () => {
    const two = [
      ...turn("f", { a: 1, b: [true, null], c: { x: 1, y: 2 } }, "r"),
      ...turn("f", { c: { y: 2, x: 1 }, b: [true, null], a: 1 }, "r"),
    ]
    const third = { id: "", name: "f", arguments: '{ "b": [true,null], "a": 1, "c":{"x":1,"y":2}}' }
    expect(vain(two, third)).toEqual([true])
    expect(vain(two, { ...third, arguments: third.arguments.replace("1", "1.0") })).toEqual([false])
  })

  test("is the third of one answer", () => {
    expect(vain([], READ, READ, READ)).toEqual([false, false, true])
    expect(vain(read(), READ, READ)).toEqual([false, true])
    expect(vain([], READ, call("read", { path: "b.ts" }), READ, READ)).toEqual([
      false,
      false,
      false,
      true,
    ])
  })

  test("may alternate with another one, or come with it", () => {
    const list = (): Message[] => turn("list", {}, "a.ts")
    const rounds = [...read(), ...list(), ...read(), ...list(), ...read()]
    expect(vain(rounds, call("list", {}))).toEqual([true])
    const pair = (): Message[] => {
      const calls = [call("read", { path: "a.ts" }), call("list", {})]
      const results = calls.map(
        ({ id, name }): Message => ({ role: "tool", content: name, toolCallId: id }),
      )
      return [{ role: "assistant", content: "", toolCalls: calls }, ...results.toReversed()]
    }
    expect(vain([...pair(), ...pair()], READ)).toEqual([true])
    expect(vain([...pair(), ...pair()], call("list", {}))).toEqual([true])
  })

  test("is one although a client adds the same reminder to each result", () => {
    const reminder: Message = { role: "user", content: "mind the rules", continuesResults: true }
    const reminded = [...read(), reminder, ...read(), reminder, ...read(), reminder]
    expect(vain(reminded, READ)).toEqual([true])
  })
})

describe("a call is no call in vain", () => {
  test("while its results change", () => {
    expect(vain([...read("10 %"), ...read("20 %"), ...read("30 %")], READ)).toEqual([false])
    expect(vain([...read("10 %"), ...read("10 %"), ...read("20 %")], READ)).toEqual([false])
  })

  test("after a new result of another call", () => {
    const edit = turn("edit", { path: "a.ts", text: "x" }, "done")
    expect(vain([...read(), ...edit, ...read()], READ)).toEqual([false])
    expect(vain([...read(), ...read(), ...edit], READ)).toEqual([false])
  })

  test("together with a new one, whose result may be news", () => {
    expect(vain([...read(), ...read()], call("edit", {}), READ)).toEqual([false, false])
  })

  test("when the user spoke in between, whatever he said", () => {
    expect(vain([...read(), ...read(), HI], READ)).toEqual([false])
    const answered: Message[] = [...read(), { role: "assistant", content: "It is fine." }, HI]
    expect(vain([...answered, ...answered], READ)).toEqual([false])
  })
})

test("calls of other names need not be held back", () => {
  const guard = new RepeatedCalls([HI, ...read(), ...read()])
  expect([guard.mayRepeat("read"), guard.mayRepeat("list"), guard.mayRepeat("rea")]).toEqual([
    true,
    false,
    false,
  ])
})

test("a long history is read in little time, and its end counts", () => {
  const long = Array.from({ length: 2000 }, (_, at) => read("x".repeat(20_000), `${at}.ts`)).flat()
  const begin = performance.now()
  expect(vain([...long, ...read(), ...read()], READ)).toEqual([true])
  expect(performance.now() - begin).toBeLessThan(500)
})
