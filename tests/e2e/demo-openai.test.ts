// The openai client against `ds4 serve` on the demo model: what works with a real checkpoint works
// here, with real answers.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import OpenAI from "openai"
import type { ChatCompletionMessageParam } from "openai/resources/chat/completions"
import { CLOCK, lastNumber, longText, SUMS } from "./support/demo-questions.ts"
import { DemoHome, type DemoServer } from "./support/demo-server.ts"

setDefaultTimeout(120_000) // a long prompt on a machine with other work

const TOOLS = [
  {
    type: "function" as const,
    function: {
      name: CLOCK.name,
      description: CLOCK.description,
      parameters: { ...CLOCK.parameters, required: [...CLOCK.parameters.required] },
    },
  },
]
const home = new DemoHome()
let server: DemoServer
let client: OpenAI

beforeAll(async () => {
  server = await home.serve()
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 })
})
afterAll(async () => {
  await server?.stop()
  home[Symbol.dispose]()
})

interface Answer {
  readonly message: OpenAI.ChatCompletionMessage
  readonly content: string
  readonly reasoning: string
  readonly finish: string | undefined
  readonly promptTokens: number
  readonly cachedTokens: number
}

/** One greedy answer, without a limit on its length. */
async function ask(
  messages: ChatCompletionMessageParam[],
  options: { thinks: boolean; isStreamed?: boolean; tools?: typeof TOOLS },
): Promise<Answer> {
  const body = {
    model: "demo",
    messages,
    temperature: 0,
    reasoning_effort: options.thinks ? ("high" as const) : ("none" as const),
    ...(options.tools === undefined ? {} : { tools: options.tools }),
  }
  const completion =
    options.isStreamed === true ? await streamed(body) : await client.chat.completions.create(body)
  const [choice] = completion.choices
  if (choice === undefined) throw new Error("an answer without a choice")
  const message = choice.message as OpenAI.ChatCompletionMessage & { reasoning_content?: string }
  return {
    message,
    content: message.content ?? "",
    reasoning: message.reasoning_content ?? "",
    finish: choice.finish_reason,
    promptTokens: completion.usage?.prompt_tokens ?? -1,
    cachedTokens: completion.usage?.prompt_tokens_details?.cached_tokens ?? -1,
  }
}

/**
 * A streamed answer put together. Of fields that the client does not know, such as
 * reasoning_content, it keeps only the last piece.
 */
async function streamed(
  body: Omit<OpenAI.ChatCompletionCreateParamsStreaming, "stream">,
): Promise<OpenAI.ChatCompletion> {
  const stream = client.chat.completions.stream({
    ...body,
    stream: true,
    stream_options: { include_usage: true },
  })
  let reasoning = ""
  for await (const { choices } of stream)
    reasoning +=
      (choices[0]?.delta as { reasoning_content?: string } | undefined)?.reasoning_content ?? ""
  const completion = await stream.finalChatCompletion()
  const message = completion.choices[0]?.message
  if (message !== undefined && reasoning !== "")
    Object.assign(message, { reasoning_content: reasoning })
  return completion
}

const user = (content: string): ChatCompletionMessageParam => ({ role: "user", content })

test("the server says in one line which model it took, and how to name another", () => {
  const lines = server.said.split("\n").filter((line) => line.includes("embedded demo model"))
  expect(lines).toHaveLength(1)
  expect(lines[0]).toContain("models/demo")
  expect(lines[0]).toContain("-m MODEL")
})

test(
  "sums are thought through step by step, apart from the answer, and end by " + "themselves",
  async () => {
    let right = 0
    for (const [question, result] of SUMS) {
      const { content, reasoning, finish } = await ask([user(question)], { thinks: true })
      expect(finish).toBe("stop")
      expect(reasoning).not.toBe("")
      expect(`${reasoning}${content}`).not.toContain("think>")
      if (lastNumber(content) === result) right++
    }
    expect(right).toBeGreaterThanOrEqual(SUMS.length - 1)
  },
)

test("without thinking there is an answer and no reasoning, streamed as whole", async () => {
  const [question = ""] = SUMS[0] ?? []
  const [whole, streamed] = [
    await ask([user(question)], { thinks: false }),
    await ask([user(question)], { thinks: false, isStreamed: true }),
  ]
  expect([whole.reasoning, whole.finish]).toEqual(["", "stop"])
  expect(whole.content).not.toBe("")
  expect([streamed.content, streamed.reasoning]).toEqual([whole.content, ""])
})

for (const isStreamed of [false, true]) {
  for (const thinks of [false, true]) {
    test(
      `a tool is called, its result is used${thinks ? ", with thinking" : ""}` +
        `${isStreamed ? ", streamed" : ""}`,
      async () => {
        const asked = [user(CLOCK.question)]
        const first = await ask(asked, { thinks, isStreamed, tools: TOOLS })
        expect(first.finish).toBe("tool_calls")
        const calls = first.message.tool_calls?.map((call) =>
          call.type === "function"
            ? {
                name: call.function.name,
                arguments: JSON.parse(call.function.arguments) as unknown,
              }
            : undefined,
        )
        expect(calls).toEqual([{ name: CLOCK.name, arguments: CLOCK.arguments }])
        expect(first.content).not.toContain("DSML")
        expect(first.reasoning !== "").toBe(thinks)
        const result = {
          role: "tool" as const,
          tool_call_id: first.message.tool_calls?.[0]?.id ?? "",
          content: CLOCK.result,
        }
        const second = await ask([...asked, first.message, result], {
          thinks,
          isStreamed,
          tools: TOOLS,
        })
        expect(second.finish).toBe("stop")
        expect(second.content).toContain(CLOCK.needle)
        // the prompt and the call are not read again
        expect(second.cachedTokens).toBeGreaterThan(first.promptTokens)
      },
    )
  }
}

test(
  "a prompt that is longer than the model was made for is refused without advice that " +
    "cannot help",
  async () => {
    const refused = await client.chat.completions
      .create({ model: "demo", messages: [user(longText(400))] })
      .catch((error: unknown) => error)
    if (!(refused instanceof OpenAI.BadRequestError))
      throw new Error(`expected a refusal, got ${String(refused)}`)
    expect(refused.code).toBe("context_length_exceeded")
    expect(refused.message).toContain("the model was made for no more")
  },
)

test("a turn after one with thinking does not read the conversation again", async () => {
  const asked = [user(SUMS[0]?.[0] ?? "")]
  const first = await ask(asked, { thinks: true })
  const second = await ask([...asked, first.message, user(SUMS[2]?.[0] ?? "")], { thinks: true })
  expect([second.finish, second.reasoning === ""]).toEqual(["stop", false])
  // its end, the opening of thinking, is left out
  expect(second.cachedTokens).toBeGreaterThanOrEqual(first.promptTokens - 1)
})

test("a prompt of 4,000 tokens is answered, and the next turn does not read it again", async () => {
  const asked = [
    user(longText(180)),
    { role: "assistant" as const, content: "Noted." },
    user("Hello!"),
  ]
  const first = await ask(asked, { thinks: false })
  expect(first.promptTokens).toBeWithin(3500, 4500)
  expect(first.finish).toBe("stop")
  expect(first.content).not.toBe("")
  const second = await ask(
    [...asked, { role: "assistant", content: first.content }, user("Thanks.")],
    { thinks: false },
  )
  expect(second.finish).toBe("stop")
  expect(second.cachedTokens).toBeGreaterThanOrEqual(first.promptTokens)
})
