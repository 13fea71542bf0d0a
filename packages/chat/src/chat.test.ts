import { describe, expect, test } from "bun:test"
import type { Message, ToolDeclaration } from "./template/conversation.ts"
import type { AnswerEvent } from "./answer/answer-event.ts"
import { ContextOverflowError } from "./answer/context-overflow.ts"
import { scriptedChat, tell, tokenizer, toolBlock } from "./testing/answers.ts"

const user = (content: string): Message => ({ role: "user", content })
const HI = [user("hi")]
const TOOLS: ToolDeclaration[] = [{ name: "find", parameters: {} }]
const FIND = toolBlock({ name: "find", arguments: { city: 'Zü"rich', days: 3 } })

/** The message of the error that an answer ends with. */
const faultOf = (answer: AsyncIterable<AnswerEvent>): Promise<string> =>
  tell(answer).then(
    () => "",
    (error: unknown) => String(error),
  )

describe("the events of an answer", () => {
  test("progress comes first, then reasoning and text, and the finish ends it", async () => {
    const { chat } = scriptedChat("Consider it.</think>The answer is 7.", { batchTokens: 4 })
    const kinds: string[] = []
    for await (const event of chat.answer({ messages: HI })) kinds.push(event.type)
    expect(kinds[0]).toBe("progress")
    expect([...new Set(kinds)]).toEqual(["progress", "reasoning", "text", "finish"])
    const told = await tell(chat.answer({ messages: HI }))
    expect(told.finish).toMatchObject({
      reason: "stop",
      usage: { completionTokens: tokenizer.encode("Consider it.The answer is 7.").length + 1 },
      message: { role: "assistant", reasoning: "Consider it.", content: "The answer is 7." },
    })
  })

  test("a call begins, brings its arguments and is done; the message holds it", async () => {
    const { chat } = scriptedChat(`</think>Let me see.${FIND}`)
    const told = await tell(chat.answer({ messages: HI, tools: TOOLS }))
    const outputs = ["text", "tool-call-start", "tool-call-arguments", "tool-call-end", "finish"]
    expect(told.order).toEqual(outputs)
    expect(told.finish?.reason).toBe("tool-calls")
    expect(told.finish?.message.toolCalls).toEqual(told.calls)
    expect(JSON.parse(told.calls[0]?.arguments ?? "")).toEqual({ city: 'Zü"rich', days: 3 })
  })

  test("logprobs come to who asks, for reasoning and text apart", async () => {
    const { chat } = scriptedChat("Hm.</think>Yes.", { batchTokens: 3 })
    const { logprobs } = await tell(chat.answer({ messages: HI, topLogprobs: 2 }))
    expect(logprobs.reasoning.map(({ token }) => token).join("")).toBe("Hm.</think>")
    expect(logprobs.text.map(({ token }) => token).join("")).toBe("Yes.")
    expect(logprobs.text[0]?.top).toHaveLength(2)
    const silent = await tell(chat.answer({ messages: HI }))
    expect(silent.logprobs).toEqual({ reasoning: [], text: [] })
  })

  test("an answer is read once", async () => {
    const { chat } = scriptedChat("Yes.")
    const answer = chat.start(await chat.prompt({ messages: HI }))
    await tell(answer)
    expect(await faultOf(answer)).toContain("can be read once")
  })
})

describe("limits", () => {
  test("the output limit is the room at most; a prompt without room is refused", async () => {
    const { chat, engine } = scriptedChat("word ".repeat(100), { model: { contextTokens: 40 } })
    const { promptTokens } = (await tell(chat.answer({ messages: HI, maxTokens: 1000 }))).finish
      ?.usage ?? { promptTokens: 0 }
    expect(engine.requests[0]?.maxTokens).toBe(40 - promptTokens)
    const error = await tell(chat.answer({ messages: [user("x".repeat(50))] })).catch(
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(ContextOverflowError)
    expect(error).toMatchObject({ promptTokens: 54, room: { contextTokens: 40 } })
    expect((error as Error).message).toBe(
      "the prompt has 54 tokens; a session holds 40, prompt and answer together",
    )
  })

  test("stop strings, the token limit and a full context each have their reason", async () => {
    const { chat } = scriptedChat("one two three", { model: { contextTokens: 20 } })
    const ask = async (options: object) =>
      (await tell(chat.answer({ messages: HI, thinking: "off", ...options }))).finish
    expect(await ask({ stopStrings: ["two"] })).toMatchObject({
      reason: "stop-string",
      stopString: "two",
      message: { content: "one " },
    })
    expect(await ask({ maxTokens: 2 })).toMatchObject({ reason: "length" })
    const long = scriptedChat("word ".repeat(100), { model: { contextTokens: 20 } }).chat
    const room = (await tell(long.answer({ messages: HI, thinking: "off" }))).finish
    expect(room?.reason).toBe("context")
    const { completionTokens = 0 } = room?.usage ?? {}
    for (const [asked, reason] of [
      [completionTokens, "length"],
      [completionTokens + 1, "context"],
    ] as const) {
      const told = await tell(long.answer({ messages: HI, thinking: "off", maxTokens: asked }))
      expect(told.finish).toMatchObject({ reason, usage: { completionTokens } })
    }
  })

  test("options reach the engine", async () => {
    const { chat, engine } = scriptedChat("</think>Yes.")
    const options = {
      sampling: { temperature: 0, seed: 3 },
      reasoningBudget: 5,
      sessionHint: "k",
      tools: TOOLS,
    }
    await tell(chat.answer({ messages: HI, ...options }))
    await tell(chat.answer({ messages: HI, ...options, greedyToolSyntax: false, thinking: "off" }))
    expect(engine.requests[0]).toMatchObject({
      sampling: { temperature: 0, seed: 3 },
      reasoningBudget: 5,
      sessionHint: "k",
      toolZones: true,
      thinkCloseToken: tokenizer.special.get("</think>"),
    })
    expect(engine.requests[1]?.toolZones).toBeUndefined()
    expect(engine.requests[1]?.reasoningBudget).toBeUndefined()
  })
})

describe("later turns", () => {
  test("a sampled call stands in the next prompt token for token", async () => {
    const { chat, engine } = scriptedChat((request) =>
      tokenizer.decode(request.promptTokens).includes("tool_result")
        ? "</think>It is sunny."
        : `Hm.</think>Let me see.${FIND}`,
    )
    const first = await tell(chat.answer({ messages: HI, tools: TOOLS }))
    const [call] = first.calls
    if (first.finish === undefined || call === undefined) throw new Error("no call came")
    const result: Message = { role: "tool", content: "sunny", toolCallId: call.id }
    const messages = [...HI, first.finish.message, result]
    const second = await tell(chat.answer({ messages, tools: TOOLS }))
    const { promptTokens, completionTokens } = first.finish.usage
    expect(second.finish?.usage.cachedTokens).toBe(promptTokens + completionTokens)
    expect(second.text).toBe("It is sunny.")
    expect(engine.requests).toHaveLength(2)
  })

  test("an answer is repeated by its sampled ids, unless the memory is off", async () => {
    // Sampled byte by byte, unlike the tokenizer's own choice.
    const tokens = [...Buffer.from("the and")].map(
      (byte) => tokenizer.encode(String.fromCharCode(byte))[0] ?? 0,
    )
    for (const [answers, isRepeated] of [
      [undefined, true],
      [0, false],
    ] as const) {
      const { chat } = scriptedChat("", { script: () => ({ tokens }) }, { memory: { answers } })
      const first = await tell(chat.answer({ messages: HI, thinking: "off" }))
      expect(first.text).toBe("the and")
      const messages = [...HI, { role: "assistant", content: "the and" } as const, user("more")]
      const prompt = await chat.prompt({ messages, thinking: "off" })
      expect(prompt.tokens.join().includes(tokens.join())).toBe(isRepeated)
    }
  })

  test("a partial answer goes on inside its reasoning or its content", async () => {
    const { chat, engine } = scriptedChat(({ thinkCloseToken }) =>
      thinkCloseToken === undefined ? " is 7." : " it.</think>Yes.",
    )
    const open: Message = { role: "assistant", content: "", reasoning: "Consider" }
    const inReasoning = await tell(chat.answer({ messages: [...HI, open], continueFinal: true }))
    expect(tokenizer.decode(engine.requests[0]?.promptTokens ?? [])).toEndWith("<think>Consider")
    expect(inReasoning.reasoning).toBe(" it.")
    expect(inReasoning.finish?.message).toMatchObject({
      reasoning: "Consider it.",
      content: "Yes.",
    })
    const said: Message = { role: "assistant", content: "It", reasoning: "Hm." }
    const inContent = await tell(chat.answer({ messages: [...HI, said], continueFinal: true }))
    expect(tokenizer.decode(engine.requests[1]?.promptTokens ?? [])).toEndWith(
      "<think>Hm.</think>It",
    )
    expect(inContent.finish?.message).toMatchObject({ reasoning: "Hm.", content: "It is 7." })
  })

  test("a rendered prompt goes to the model as it is", async () => {
    const { chat, engine } = scriptedChat("Yes.")
    const prompt = await chat.renderedPrompt([{ text: "<｜User｜>hi", control: true }])
    expect((await tell(chat.start(prompt))).text).toBe("Yes.")
    expect(tokenizer.decode(engine.requests[0]?.promptTokens ?? [])).toBe("<｜User｜>hi")
  })
})

describe("a cancelled answer", () => {
  const SCRIPT = `Consider it at some length.</think>Let me see.${FIND}`
  const request = { messages: HI, tools: TOOLS }

  /** The number of events of the whole answer, and what it comes to. */
  const whole = async () => {
    const { chat } = scriptedChat(SCRIPT, { batchTokens: 3 })
    let count = 0
    for await (const _ of chat.answer(request)) count++
    return { count, told: await tell(chat.answer(request)) }
  }

  test("by its signal, at any event, ends with what there was and leaves the session", async () => {
    const { count, told } = await whole()
    for (let at = 0; at < count - 1; at++) {
      const { chat, engine } = scriptedChat(SCRIPT, { batchTokens: 3, maxSessions: 1 })
      const abort = new AbortController()
      let seen = 0
      let last = ""
      for await (const event of chat.answer({ ...request, signal: abort.signal })) {
        if (seen++ === at) abort.abort()
        last = event.type
        if (event.type === "finish" && event.reason !== "tool-calls")
          expect([at, event.reason]).toEqual([at, "cancelled"])
      }
      expect([at, last]).toEqual([at, "finish"])
      expect(engine.stats().running).toBe(0)
      const again = await tell(chat.answer(request))
      expect({ at, text: again.text, order: again.order }).toEqual({
        at,
        text: told.text,
        order: told.order,
      })
    }
  })

  test("by leaving the loop, at any event, leaves the session", async () => {
    const { count, told } = await whole()
    for (let at = 0; at < count; at++) {
      const { chat, engine } = scriptedChat(SCRIPT, { batchTokens: 3, maxSessions: 1 })
      let seen = 0
      for await (const _ of chat.answer(request)) if (seen++ === at) break
      expect(engine.stats().running).toBe(0)
      const again = await tell(chat.answer(request))
      expect({ at, reasoning: again.reasoning }).toEqual({ at, reasoning: told.reasoning })
    }
  })

  test("an engine that fails throws, and the chat goes on", async () => {
    let isBroken = true
    const { chat } = scriptedChat("", {
      script: () =>
        isBroken ? { text: "half", error: new Error("the device is on fire") } : "</think>Yes.",
    })
    expect(await faultOf(chat.answer({ messages: HI }))).toContain("on fire")
    isBroken = false
    expect((await tell(chat.answer({ messages: HI }))).text).toBe("Yes.")
  })
})
