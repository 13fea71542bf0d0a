// Conversations with the demo model through the local backend: real answers, so that turns depend
// on each other.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { loadModel, type LoadedModel } from "@ds4/engine"
import { OutputParser, renderChat, type Conversation, type Message } from "@ds4/chat"
import type { AnswerSettings, AnswerUsage, FinishReason, ThinkLevel } from "../backend/backend.ts"
import { LocalBackend } from "../backend/local-backend.ts"

setDefaultTimeout(60_000) // the machine may be busy

let loaded: LoadedModel
let backend: LocalBackend
beforeAll(async () => {
  loaded = await loadModel(undefined, { maxSessions: 2 })
  backend = new LocalBackend({ ...loaded, where: "here" })
})
afterAll(async () => await backend.close())

interface Answer {
  readonly reasoning: string
  readonly content: string
  readonly finish: FinishReason | undefined
  readonly usage: AnswerUsage | undefined
}

async function ask(
  messages: readonly Message[],
  think: ThinkLevel,
  changed: Partial<AnswerSettings> = {},
): Promise<Answer> {
  const settings: AnswerSettings = {
    temperature: 0,
    topP: 1,
    topK: 0,
    minP: 0,
    seed: undefined,
    maxTokens: undefined,
    stop: [],
    think,
    reasoningBudget: undefined,
    keepsReasoning: true,
    ...changed,
  }
  const answer = {
    reasoning: "",
    content: "",
    finish: undefined as FinishReason | undefined,
    usage: undefined as AnswerUsage | undefined,
  }
  for await (const event of backend.answer({
    prompt: { type: "conversation", conversation: { messages } },
    settings,
  })) {
    if (event.type === "reasoning") answer.reasoning += event.text
    else if (event.type === "content") answer.content += event.text
    else if (event.type === "end") ({ finish: answer.finish, usage: answer.usage } = event)
  }
  return answer
}

const user = (content: string): Message => ({ role: "user", content })
const assistant = ({ content, reasoning }: Answer): Message => ({
  role: "assistant",
  content,
  ...(reasoning === "" ? {} : { reasoning }),
})

test(
  "turns without thinking: each ends by itself, has no reasoning, and goes on from the one " +
    "before",
  async () => {
    const messages: Message[] = []
    let heldTokens = 0
    for (const [question, wanted] of [
      ["What is 23 + 45?", "68"],
      ["How do I make a GGUF file?", ""],
      ["What is 7 * 8?", ""],
    ] as const) {
      messages.push(user(question))
      const answer = await ask(messages, "off")
      expect([answer.finish, answer.reasoning]).toEqual(["stop", ""])
      expect(answer.content).not.toBe("")
      expect(answer.content).toEndWith(wanted)
      expect(answer.usage?.cachedTokens).toBeGreaterThanOrEqual(heldTokens)
      heldTokens = answer.usage?.promptTokens ?? Number.NaN
      messages.push(assistant(answer))
    }
  },
)

test(
  "turns with thinking: reasoning stands apart from the answer in each of them, and " +
    "nothing is " +
    "read again",
  async () => {
    const messages: Message[] = []
    let heldTokens = 0
    for (const question of ["What is 61 + 38?", "What is 58 - 23?"]) {
      messages.push(user(question))
      const answer = await ask(messages, "high")
      expect(answer.finish).toBe("stop")
      const [said = "no number"] = answer.content.match(/\d+$/) ?? []
      expect(answer.reasoning).toContain(said) // the answer is what the steps came to
      expect(answer.reasoning + answer.content).not.toContain("think>")
      expect(answer.usage?.cachedTokens).toBeGreaterThanOrEqual(heldTokens)
      // without the opening of thinking, which the next prompt lacks
      heldTokens = (answer.usage?.promptTokens ?? Number.NaN) - 1
      messages.push(assistant(answer))
    }
  },
)

test("where reasoning is never kept, a turn is what it would be without the session", async () => {
  const first = await ask([user("What is 44 + 31?")], "high", { keepsReasoning: false })
  const messages = [user("What is 44 + 31?"), assistant(first), user("What is 95 - 32?")]
  const second = await ask(messages, "high", { keepsReasoning: false })
  expect(second.usage?.cachedTokens).toBe(0)
  const { engine, tokenizer } = await loadModel(undefined, { maxSessions: 1 })
  const fresh: number[] = []
  for await (const event of engine.generate({
    promptTokens: tokenizer.encodeSegments(
      renderChat({ messages }, { thinking: true, effort: "high" }),
    ),
    sampling: { temperature: 0 },
  })) {
    if (event.type === "tokens") fresh.push(...event.tokens.map(({ id }) => id))
  }
  await engine.close()
  expect(`${second.reasoning}</think>${second.content}`).toBe(tokenizer.decode(fresh))
})

test("a declared tool is called in the family's own syntax", async () => {
  const { engine, tokenizer } = loaded
  const tools = [
    {
      name: "get_weather",
      description: "Get the current weather for a city.",
      parameters: {
        type: "object",
        properties: { city: { type: "string", description: "City name." } },
        required: ["city"],
      },
    },
  ]
  const conversation: Conversation = { messages: [user("What is the weather in Rome?")], tools }
  const promptTokens = tokenizer.encodeSegments(renderChat(conversation, { thinking: false }))
  const ids: number[] = []
  for await (const event of engine.generate({
    promptTokens,
    sampling: { temperature: 0 },
    stopTokens: [tokenizer.eos],
    toolZones: true,
  })) {
    if (event.type === "tokens") ids.push(...event.tokens.map(({ id }) => id))
  }
  const raw = tokenizer.decode(ids)
  expect(raw).toContain('<\uff5cDSML\uff5cinvoke name="get_weather">')
  expect(raw).toEndWith("</\uff5cDSML\uff5ctool_calls>")
  const parser = new OutputParser({ thinking: false, tools })
  parser.push(raw)
  parser.end("stop")
  expect(
    parser.result.calls.map(({ name, arguments: text }) => ({
      name,
      arguments: JSON.parse(text) as unknown,
    })),
  ).toEqual([{ name: "get_weather", arguments: { city: "Rome" } }])
})
