import { describe, expect, test } from "bun:test"
import type { Message, ToolCall } from "../template/conversation.ts"
import { scriptedChat, tell, tokenizer, toolBlock } from "../testing/answers.ts"

const HI: Message = { role: "user", content: "hi" }
const TOOLS = [{ name: "find" }, { name: "list" }]
const FIND = { name: "find", arguments: { city: "Rome" } }
const LIST = { name: "list", arguments: { depth: 3 } }
const LOOP = "I will look at it again. ".repeat(120)

/** A conversation in which the call was made twice, with the same result. */
const CIRCLE: Message[] = [1, 2].flatMap((at): Message[] => {
  const call: ToolCall = { id: `c${at}`, name: "find", arguments: '{"city":"Rome"}' }
  return [
    { role: "assistant", content: "", toolCalls: [call] },
    { role: "tool", content: "unknown", toolCallId: call.id },
  ]
})

/** An answer in batches of several sizes, which must agree. */
async function answer(script: string, options: object = {}, messages: Message[] = []) {
  const read = async (batchTokens: number) => {
    const { chat } = scriptedChat(script, { batchTokens, model: { contextTokens: 100_000 } })
    const request = { messages: [HI, ...messages], tools: TOOLS, ...options }
    const { reasoning, text, calls, finish, order } = await tell(
      chat.answer({ newCallId: () => "id", ...request }),
    )
    const { reason, detail, usage } = finish ?? {}
    const tokens = usage?.completionTokens ?? 0
    return { reasoning, text, calls: calls.map(({ name }) => name), order, reason, detail, tokens }
  }
  const first = await read(16)
  for (const batchTokens of [64, 5000]) expect(await read(batchTokens)).toEqual(first)
  return first
}

describe("a text that repeats itself", () => {
  const off = { thinking: "off" }
  test("ends the answer, in text and in reasoning; a call may hold much of it", async () => {
    const text = await answer(`Well. ${LOOP}`, off)
    expect(text).toMatchObject({ reason: "repetition", calls: [] })
    expect(text.detail).toMatch(/^the last \d+ tokens repeat a text of \d+ tokens$/)
    expect(`Well. ${LOOP}`).toStartWith(text.text)
    expect(text.tokens).toBeGreaterThan(500)
    expect(text.tokens).toBeLessThan(700)
    const reasoning = await answer(LOOP)
    expect(reasoning).toMatchObject({ reason: "repetition", text: "" })
    expect(reasoning.reasoning.length).toBeGreaterThan(500)
    const block = toolBlock(LIST, { name: "find", arguments: { city: LOOP } })
    expect(await answer(block, off)).toMatchObject({
      reason: "tool-calls",
      calls: ["list", "find"],
    })
  })

  test("goes on without the guard", async () => {
    const free = await answer(`Well. ${LOOP}`, { ...off, loopGuard: false })
    expect(free).toMatchObject({ reason: "stop", detail: undefined, text: `Well. ${LOOP}` })
  })

  test("goes on where no tools are: somebody may have asked for it", async () => {
    const chat = await answer(`Well. ${LOOP}`, { ...off, tools: [] })
    expect(chat).toMatchObject({ reason: "stop", text: `Well. ${LOOP}` })
    const agent = await answer(`Well. ${LOOP}`, { ...off, tools: [] }, CIRCLE)
    expect(agent.reason).toBe("repetition")
  })

  test("of tokens that are never shown ends the answer too", async () => {
    const silent = await answer("Well.".concat("</think><think>x ".repeat(400)), off)
    expect(silent).toMatchObject({ reason: "repetition" })
  })
})

describe("a call for the third time without a new result", () => {
  test("is not delivered and ends the answer", async () => {
    const third = await answer(`</think>Once more.${toolBlock(FIND)}`, {}, CIRCLE)
    expect(third).toMatchObject({
      reason: "repetition",
      text: "Once more.",
      calls: [],
      detail:
        "the call of find came for the third time with the same arguments, and no result was new",
    })
    expect(third.order).toEqual(["text", "finish"])
  })

  test("is delivered without the guard, and when it differs", async () => {
    for (const [options, messages] of [
      [{ loopGuard: false }, CIRCLE],
      [{}, CIRCLE.slice(2)],
      [{}, [...CIRCLE, HI]],
    ] as const) {
      const free = await answer(`</think>${toolBlock(FIND)}`, options, [...messages])
      expect(free).toMatchObject({ reason: "tool-calls", calls: ["find"], detail: undefined })
    }
    const other = toolBlock({ name: "find", arguments: { city: "Bern" } })
    const { calls, order } = await answer(`</think>${other}`, {}, CIRCLE)
    expect(calls).toEqual(["find"])
    expect(order).toEqual(["tool-call-start", "tool-call-arguments", "tool-call-end", "finish"])
  })

  test("keeps the calls before it in the same answer", async () => {
    const thrice = await answer(`</think>${toolBlock(LIST, FIND, FIND, FIND, LIST)}`)
    expect(thrice).toMatchObject({ reason: "repetition", calls: ["list", "find", "find"] })
  })

  test("ends generation, and the session is left as it is", async () => {
    const { chat, engine } = scriptedChat(`</think>${toolBlock(FIND)}${LOOP}`)
    await tell(chat.answer({ messages: [HI, ...CIRCLE], tools: TOOLS }))
    expect(engine.cancelled).toHaveLength(1)
    expect(engine.stats().running).toBe(0)
  })
})

test("the guard costs little time", async () => {
  const ids = tokenizer.encode(
    Array.from({ length: 4000 }, (_, at) => `row ${at} of the table\n`).join(""),
  )
  const { AnswerReader } = await import("./answer-reader.ts")
  const timeOf = (loopGuard: boolean): number => {
    const reader = new AnswerReader(
      tokenizer,
      { isThinking: false, tools: [{ name: "find" }] },
      { loopGuard },
    )
    const begin = performance.now()
    for (const id of ids) reader.push([{ id }])
    return performance.now() - begin
  }
  timeOf(true)
  const perToken = ((timeOf(true) - timeOf(false)) * 1000) / ids.length
  expect(perToken).toBeLessThan(5) // microseconds; a step takes hundreds
})
