import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { loadTokenizer } from "@ds4/tokenizer"
import { DEEPSEEK_V3_TOKENIZER } from "@ds4/tokenizer/testing"
import { scriptedChat, tell, tokenizer, toolBlock } from "../testing/answers.ts"
import { AnswerReader } from "./answer-reader.ts"
import { ControlTokens } from "./control-tokens.ts"

const HI = [{ role: "user", content: "hi" }] as const
const TOOLS = [{ name: "find" }]
const OF_ANSWERS = ["<think>", "</think>", "｜DSML｜"]
const ENDING = [...tokenizer.special.keys()].filter((text) => !OF_ANSWERS.includes(text))

/** Text and reasoning of an answer, in batches of several sizes, which must agree. */
async function told(script: string, thinking: "off" | "default", options: object = {}) {
  const read = async (batchTokens: number) => {
    const { chat } = scriptedChat(script, { batchTokens })
    const answer = chat.answer({ messages: HI, thinking, ...options })
    const { reasoning, text, finish } = await tell(answer)
    return { reasoning, text, reason: finish?.reason, usage: finish?.usage.completionTokens }
  }
  const first = await read(1)
  for (const batchTokens of [3, 100]) expect(await read(batchTokens)).toEqual(first)
  return first
}

describe("a control token that belongs into prompts", () => {
  test("the vocabulary of the tests has one of each kind", () => {
    expect(ENDING).toContain("<｜begin▁of▁sentence｜>")
    expect(ENDING).toContain("<｜latest_reminder｜>")
    expect(ENDING).toContain("<｜tool▁calls▁begin｜>")
    expect(ENDING.length).toBe(15)
  })

  test.each(ENDING)("%s ends the answer, in text, reasoning and a call", async (control) => {
    expect(await told(`Hello${control}What else?`, "off")).toEqual({
      reasoning: "",
      text: "Hello",
      reason: "stop",
      usage: tokenizer.encode("Hello").length,
    })
    expect(await told(`Hm${control}m</think>x`, "default")).toMatchObject({
      reasoning: "Hm",
      text: "",
      reason: "stop",
    })
    const call = toolBlock({ name: "find", arguments: { city: `Rome${control}` } })
    const { reason, text } = await told(`a${call}`, "off", { tools: TOOLS })
    // The answer ends in the value, and what is missing is supplied.
    expect([reason, text.includes(control)]).toEqual(["tool-calls", false])
  })

  test.each(ENDING)("%s written with ordinary tokens is text", (control) => {
    const reader = new AnswerReader(tokenizer, { isThinking: false, tools: [] })
    reader.push(tokenizer.encode(`see ${control} there`).map((id) => ({ id })))
    reader.end("stop")
    expect(reader.content).toBe(`see ${control} there`)
  })

  test("the engine is told, so that nothing is sampled after it", async () => {
    const { chat, engine } = scriptedChat("Hello<｜User｜>What else?")
    await tell(chat.answer({ messages: HI, thinking: "off" }))
    expect(engine.requests[0]?.stopTokens).toEqual(
      expect.arrayContaining(ENDING.map((text) => tokenizer.special.get(text))),
    )
  })

  test("those of real vocabularies are known by their bars, not by a list", async () => {
    const older = await loadTokenizer(
      { kind: "tokenizer.json", path: DEEPSEEK_V3_TOKENIZER },
      { requireChat: false },
    )
    const { ending } = new ControlTokens(older)
    expect([...older.special.values()].filter((id) => !ending.has(id))).toEqual([])
    const path = join(import.meta.dir, "../../../../models/demo/tokenizer.json")
    const demo = await loadTokenizer({ kind: "tokenizer.json", path })
    const others = [...demo.special].filter(([, id]) => !new ControlTokens(demo).ending.has(id))
    expect(others.map(([text]) => text)).toEqual(OF_ANSWERS)
  })
})

describe("the marks of thinking and of tags", () => {
  test("are left out where they open or close nothing", async () => {
    expect(await told("a</think>b<think>c</think>d", "off")).toMatchObject({ text: "abcd" })
    expect(await told("<think>a<think>b</think>c</think>d<think>e", "default")).toMatchObject({
      reasoning: "ab",
      text: "cde",
    })
    expect(await told("a ｜DSML｜ b</think>c ｜DSML｜d", "default")).toMatchObject({
      reasoning: "a  b",
      text: "c d",
    })
  })

  test("are kept as the text of a call, and in a sample of its syntax", async () => {
    const value = "a<think>b</think>｜DSML｜c"
    const { chat } = scriptedChat(toolBlock({ name: "find", arguments: { value } }))
    const { calls } = await tell(chat.answer({ messages: HI, thinking: "off", tools: TOOLS }))
    expect(calls.map((call) => JSON.parse(call.arguments) as unknown)).toEqual([{ value }])
    const sample = "Write <｜DSML｜tool_calls> and </｜DSML｜tool_calls>."
    expect(await told(sample, "off")).toMatchObject({ text: sample })
  })

  test("a forced end of reasoning is not shown after one in plain text", async () => {
    const tokens = [...tokenizer.encode("Hm</think>Yes, "), ...tokenizer.encode("it is so.")]
    for (let reasoningBudget = 1; reasoningBudget < 20; reasoningBudget++) {
      const { chat } = scriptedChat("", { script: () => ({ tokens }) })
      const { reasoning, text } = await tell(chat.answer({ messages: HI, reasoningBudget }))
      const shown = `${reasoning}|${text}`
      expect({ reasoningBudget, isShown: shown.includes("</think>") }).toEqual({
        reasoningBudget,
        isShown: false,
      })
    }
  })

  test("a second end of reasoning after the forced one is not shown", async () => {
    const tokens = tokenizer.encodeSegments([{ text: "one two three</think>Yes.", control: true }])
    const close = tokenizer.special.get("</think>") ?? -1
    const forced = [...tokens.slice(0, 3), close, ...tokens.slice(3)]
    const reader = new AnswerReader(tokenizer, { isThinking: true, tools: [] })
    reader.push(forced.map((id) => ({ id })))
    reader.end("stop")
    expect(reader.reasoning + reader.content).toBe("one two threeYes.")
    expect(reader.reasoningTokens).toBe(4)
  })
})
