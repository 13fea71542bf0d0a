// Conversations with the demo model through the local backend: real answers, so that turns depend
// on each other.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { loadModel } from "@ds4/engine"
import {
  open,
  renderChat,
  type AnswerUsage,
  type FinishReason,
  type Message,
  type ThinkingLevel,
  type ToolCall,
  type ToolDeclaration,
} from "@ds4/chat"
import type { AnswerSettings } from "../backend/backend.ts"
import { LocalBackend } from "../backend/local-backend.ts"

setDefaultTimeout(60_000) // the machine may be busy

let backend: LocalBackend
beforeAll(async () => {
  backend = new LocalBackend(await open(undefined, { maxSessions: 2 }), "here")
})
afterAll(async () => await backend.close())

interface Answer {
  reasoning: string
  content: string
  calls: ToolCall[]
  finish: FinishReason | undefined
  usage: AnswerUsage | undefined
}

async function ask(
  messages: readonly Message[],
  thinking: ThinkingLevel,
  more: Partial<AnswerSettings> & { tools?: readonly ToolDeclaration[] } = {},
): Promise<Answer> {
  const answer: Answer = {
    reasoning: "",
    content: "",
    calls: [],
    finish: undefined,
    usage: undefined,
  }
  const sampling = { temperature: 0 }
  for await (const event of backend.answer({ messages, thinking, sampling, ...more })) {
    if (event.type === "reasoning") answer.reasoning += event.text
    else if (event.type === "text") answer.content += event.text
    else if (event.type === "tool-call-end") answer.calls.push(event.call)
    else if (event.type === "finish") ({ reason: answer.finish, usage: answer.usage } = event)
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
  const first = await ask([user("What is 44 + 31?")], "high", { keepReasoning: false })
  const messages = [user("What is 44 + 31?"), assistant(first), user("What is 95 - 32?")]
  const second = await ask(messages, "high", { keepReasoning: false })
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

const WEATHER: ToolDeclaration = {
  name: "get_weather",
  description: "Get the current weather for a city.",
  parameters: {
    type: "object",
    properties: { city: { type: "string", description: "City name." } },
    required: ["city"],
  },
}

test("a declared tool is called, and its result is answered on the same session", async () => {
  const question = user("What is the weather in Rome?")
  const first = await ask([question], "off", { tools: [WEATHER] })
  expect(first.finish).toBe("tool-calls")
  expect(
    first.calls.map((call) => ({
      ...call,
      id: "",
      arguments: JSON.parse(call.arguments) as unknown,
    })),
  ).toEqual([{ id: "", name: "get_weather", arguments: { city: "Rome" } }])
  const [call] = first.calls
  const second = await ask(
    [
      question,
      { role: "assistant", content: first.content, toolCalls: first.calls },
      { role: "tool", toolCallId: call?.id ?? "", content: '{"condition":"sunny"}' },
    ],
    "off",
    { tools: [WEATHER] },
  )
  expect(second.content).toContain("sunny")
  // The prompt repeats the sampled call, so that nothing of the first turn is processed again.
  const { promptTokens = 0, completionTokens = 0 } = first.usage ?? {}
  expect(second.usage?.cachedTokens).toBeGreaterThanOrEqual(promptTokens + completionTokens - 1)
})
